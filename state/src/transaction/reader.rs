//! From JSON to a [`Transaction`]: the format of `docs/transactions.md`, version 1.
//!
//! Everything that is wrong is told at once, each with the place where it stands as a JSON pointer,
//! so that whoever read the text can name its line. Knows no YAML and no files.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    CHANGES_MAX, Change, Digest, DocumentChange, DocumentExpect, Expect, FileChange, FileOp, Patch,
    Transaction, TreePath, UnderLock,
};
use crate::FileId;

/// The version of the format that this program reads.
const FORMAT: u64 = 1;

/// Why a text is no transaction, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReaderFault {
    /// A JSON pointer (RFC 6901) to what is wrong, or to what lacks something.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// Reads a transaction. `only_root` is what a file change without `in` means.
///
/// # Errors
/// Everything that is wrong, in the order of the text.
pub fn read(value: &Value, only_root: Option<&FileId>) -> Result<Transaction, Vec<ReaderFault>> {
    let mut reader = Reader {
        faults: Vec::new(),
        only_root,
    };
    let transaction = reader.transaction(value);
    if reader.faults.is_empty() {
        for fault in transaction.check() {
            let pointer = match transaction.changes.len() {
                0 => String::new(),
                _ => format!("/changes/{}", fault.change),
            };
            reader.fault(&pointer, fault.message);
        }
    }
    if reader.faults.is_empty() {
        Ok(transaction)
    } else {
        Err(reader.faults)
    }
}

struct Reader<'r> {
    faults: Vec<ReaderFault>,
    only_root: Option<&'r FileId>,
}

/// A map whose keys are looked at one after the other.
struct Fields<'v> {
    pointer: String,
    map: &'v Map<String, Value>,
}

impl Fields<'_> {
    fn at(&self, key: &str) -> String {
        format!("{}/{key}", self.pointer)
    }
}

impl Reader<'_> {
    fn fault(&mut self, pointer: &str, message: impl Into<String>) {
        self.faults.push(ReaderFault {
            pointer: pointer.to_owned(),
            message: message.into(),
        });
    }

    /// A map that has no other keys than these.
    fn fields<'v>(
        &mut self,
        pointer: &str,
        value: &'v Value,
        known: &[&str],
    ) -> Option<Fields<'v>> {
        let Some(map) = value.as_object() else {
            self.fault(pointer, format!("a map is needed: {}", known.join(", ")));
            return None;
        };
        for key in map.keys() {
            if !known.contains(&key.as_str()) {
                let at = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                let known = known.join(", ");
                let message = format!("unknown key `{}`: known are {known}", key.escape_debug());
                self.fault(&at, message);
            }
        }
        Some(Fields {
            pointer: pointer.to_owned(),
            map,
        })
    }

    fn text<'v>(&mut self, fields: &Fields<'v>, key: &str) -> Option<&'v str> {
        let value = fields.map.get(key)?;
        let text = value.as_str();
        if text.is_none() {
            self.fault(&fields.at(key), format!("`{key}` is a text"));
        }
        text
    }

    fn needed_text<'v>(&mut self, fields: &Fields<'v>, key: &str) -> Option<&'v str> {
        if !fields.map.contains_key(key) {
            self.fault(&fields.pointer, format!("`{key}` is missing"));
        }
        self.text(fields, key)
    }

    fn name(&mut self, fields: &Fields<'_>, key: &str) -> Option<FileId> {
        let text = self.text(fields, key)?;
        match FileId::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.fault(&fields.at(key), error.to_string());
                None
            }
        }
    }

    fn list<'v>(&mut self, fields: &Fields<'v>, key: &str) -> &'v [Value] {
        match fields.map.get(key) {
            None => &[],
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.fault(&fields.at(key), format!("`{key}` is a list"));
                &[]
            }
        }
    }

    fn transaction(&mut self, value: &Value) -> Transaction {
        let mut transaction = Transaction::default();
        let known = ["phisync", "reason", "changes", "under"];
        let Some(fields) = self.fields("", value, &known) else {
            return transaction;
        };
        if let Some(format) = fields.map.get("phisync")
            && format.as_u64() != Some(FORMAT)
        {
            self.fault("/phisync", format!("this program reads version {FORMAT}"));
        }
        transaction.reason = self.text(&fields, "reason").map(str::to_owned);
        if !fields.map.contains_key("changes") {
            self.fault("", "`changes` is missing");
        }
        let changes = self.list(&fields, "changes");
        if changes.len() > CHANGES_MAX {
            self.fault("/changes", format!("at most {CHANGES_MAX} changes"));
            return transaction;
        }
        for (index, change) in changes.iter().enumerate() {
            let change = self.change(&format!("/changes/{index}"), change);
            transaction.changes.extend(change);
        }
        for (index, lock) in self.list(&fields, "under").iter().enumerate() {
            let lock = self.under(&format!("/under/{index}"), lock);
            transaction.under.extend(lock);
        }
        transaction
    }

    fn under(&mut self, pointer: &str, value: &Value) -> Option<UnderLock> {
        let fields = self.fields(pointer, value, &["lock", "token"])?;
        self.needed_text(&fields, "lock")?;
        let token = fields.map.get("token").and_then(Value::as_u64);
        if token.is_none() {
            self.fault(pointer, "`token` is the number that came with the lock");
        }
        Some(UnderLock {
            lock: self.name(&fields, "lock")?,
            token: token?,
        })
    }

    fn change(&mut self, pointer: &str, value: &Value) -> Option<Change> {
        if value.get("document").is_some() {
            return self.document(pointer, value).map(Change::Document);
        }
        let known = ["in", "path", "op", "content", "patch", "to", "expect"];
        let fields = self.fields(pointer, value, &known)?;
        let root = match (fields.map.contains_key("in"), self.only_root) {
            (true, _) => self.name(&fields, "in"),
            (false, Some(only)) => Some(only.clone()),
            (false, None) => {
                self.fault(pointer, "`in` is missing: it names the root of the file");
                None
            }
        };
        let path = self.needed_text(&fields, "path");
        let path = path.and_then(|path| self.path(&fields, "path", path));
        let op = self.op(&fields);
        let expect = self.expect(&fields);
        Some(Change::File(FileChange {
            root: root?,
            path: path?,
            op: op?,
            expect: expect?,
        }))
    }

    fn path(&mut self, fields: &Fields<'_>, key: &str, text: &str) -> Option<TreePath> {
        match TreePath::new(text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.fault(&fields.at(key), error.to_string());
                None
            }
        }
    }

    fn op(&mut self, fields: &Fields<'_>) -> Option<FileOp> {
        let op = self.needed_text(fields, "op")?;
        for (key, of) in [("content", "write"), ("patch", "patch"), ("to", "move")] {
            if fields.map.contains_key(key) && op != of {
                self.fault(&fields.at(key), format!("`{key}` belongs to `op: {of}`"));
            }
        }
        match op {
            "write" => {
                let content = self.needed_text(fields, "content")?;
                Some(FileOp::Write {
                    content: content.as_bytes().to_vec(),
                    mode: None,
                })
            }
            "patch" => {
                let patch = self.needed_text(fields, "patch")?;
                if let Err(error) = Patch::parse(patch) {
                    self.fault(&fields.at("patch"), error.to_string());
                }
                Some(FileOp::Patch(patch.to_owned()))
            }
            "move" => {
                let to = self.needed_text(fields, "to")?;
                self.path(fields, "to", to).map(FileOp::Move)
            }
            "delete" => Some(FileOp::Delete),
            "mkdir" => Some(FileOp::MakeDir),
            other => {
                let message = format!(
                    "`{}` is no operation: write, patch, delete, move, mkdir",
                    other.escape_debug()
                );
                self.fault(&fields.at("op"), message);
                None
            }
        }
    }

    fn expect(&mut self, fields: &Fields<'_>) -> Option<Expect> {
        let Some(value) = fields.map.get("expect") else {
            return Some(Expect::Anything);
        };
        let pointer = fields.at("expect");
        let expect = self.fields(&pointer, value, &["exists", "sha256"])?;
        let exists = self.exists(&expect)?;
        let Some(sha256) = self.text(&expect, "sha256") else {
            return Some(match exists {
                None => Expect::Anything,
                Some(true) => Expect::Present,
                Some(false) => Expect::Absent,
            });
        };
        if exists == Some(false) {
            self.fault(&pointer, "what does not exist has no `sha256`");
            return None;
        }
        match Digest::parse(sha256) {
            Ok(digest) => Some(Expect::Content(digest)),
            Err(error) => {
                self.fault(&expect.at("sha256"), error.to_string());
                None
            }
        }
    }

    /// `Some(None)` if it is not there; `None` if it is wrong.
    #[expect(
        clippy::option_option,
        reason = "absent and wrong are two different things"
    )]
    fn exists(&mut self, fields: &Fields<'_>) -> Option<Option<bool>> {
        match fields.map.get("exists") {
            None => Some(None),
            Some(Value::Bool(exists)) => Some(Some(*exists)),
            Some(_) => {
                self.fault(&fields.at("exists"), "`exists` is true or false");
                None
            }
        }
    }

    fn document(&mut self, pointer: &str, value: &Value) -> Option<DocumentChange> {
        let known = ["document", "op", "content", "expect"];
        let fields = self.fields(pointer, value, &known)?;
        let name = self.name(&fields, "document");
        let op = self.needed_text(&fields, "op")?;
        let content = fields.map.get("content");
        let content = match (op, content) {
            ("write", Some(content)) => Some(Arc::from(content.to_string())),
            ("write", None) => {
                self.fault(pointer, "`content` is missing");
                return None;
            }
            ("delete", None) => None,
            ("delete", Some(_)) => {
                self.fault(&fields.at("content"), "`content` belongs to `op: write`");
                return None;
            }
            _ => {
                let message = "the operations on documents are write and delete";
                self.fault(&fields.at("op"), message);
                return None;
            }
        };
        let expect = self.document_expect(&fields);
        Some(DocumentChange {
            name: name?,
            content,
            expect: expect?,
        })
    }

    fn document_expect(&mut self, fields: &Fields<'_>) -> Option<DocumentExpect> {
        let Some(value) = fields.map.get("expect") else {
            return Some(DocumentExpect::Anything);
        };
        let pointer = fields.at("expect");
        let expect = self.fields(&pointer, value, &["exists", "version"])?;
        let exists = self.exists(&expect)?;
        match (exists, expect.map.get("version")) {
            (None, None) => Some(DocumentExpect::Anything),
            (Some(true), None) => Some(DocumentExpect::Present),
            (Some(false), None) => Some(DocumentExpect::Absent),
            (Some(_), Some(_)) => {
                self.fault(&pointer, "expect one of `exists` and `version`");
                None
            }
            (None, Some(version)) => {
                let version = version.as_u64();
                if version.is_none() {
                    let message = "`version` is a number; 0 was never written";
                    self.fault(&expect.at("version"), message);
                }
                version.map(DocumentExpect::Version)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::read;
    use crate::FileId;
    use crate::transaction::{Change, DocumentExpect, Expect, FileOp};

    #[test]
    fn the_format_says_what_a_transaction_is() {
        let sha256 = "ab".repeat(32);
        let text = json!({
            "phisync": 1,
            "reason": "rename the model",
            "changes": [
                { "in": "api", "path": "src/model.rs", "op": "write", "content": "x",
                  "expect": { "sha256": sha256 } },
                { "path": "old", "op": "delete", "expect": { "exists": true } },
                { "path": "a", "op": "move", "to": "b" },
                { "path": "d", "op": "mkdir", "expect": { "exists": false } },
                { "document": "plan", "op": "write", "content": { "n": 1 },
                  "expect": { "version": 0 } },
            ],
            "under": [{ "lock": "release", "token": 7 }],
        });
        let web = FileId::new("web").expect("a root");
        let transaction = read(&text, Some(&web)).expect("a transaction");
        let expected: Vec<_> = transaction
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::File(file) => Some((file.root.as_str(), file.expect.clone())),
                Change::Document(_) => None,
            })
            .collect();
        let digest = crate::transaction::Digest::parse(&sha256).expect("a digest");
        assert_eq!(
            expected,
            [
                ("api", Expect::Content(digest)),
                ("web", Expect::Present),
                ("web", Expect::Anything),
                ("web", Expect::Absent),
            ]
        );
        let Change::Document(document) = &transaction.changes[4] else {
            panic!("a document");
        };
        assert_eq!(document.content.as_deref(), Some(r#"{"n":1}"#));
        assert_eq!(document.expect, DocumentExpect::Version(0));
        assert_eq!(transaction.under[0].token, 7);
        let Change::File(moved) = &transaction.changes[2] else {
            panic!("a file");
        };
        assert!(matches!(&moved.op, FileOp::Move(to) if to.as_str() == "b"));
    }

    #[test]
    fn everything_wrong_is_told_with_its_place() {
        let text = json!({
            "changes": [
                { "in": "A", "path": "../x", "op": "write" },
                { "path": "x", "op": "truncate" },
                { "in": "a", "path": "x", "op": "delete", "content": "y",
                  "expect": { "exists": false, "sha256": "abc" } },
                { "in": "a", "path": "x", "op": "patch", "patch": "nothing" },
                { "document": "plan", "op": "write" },
                7,
            ],
            "under": [{ "lock": "l" }],
            "chnages": [],
        });
        let faults = read(&text, None).expect_err("all of it is wrong");
        let lines: Vec<String> = faults
            .iter()
            .map(|fault| format!("{}: {}", fault.pointer, fault.message))
            .collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
