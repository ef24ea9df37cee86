//! The languages that the agents tell apart, and what little of their grammar they use.
//!
//! A file's language is decided by its name alone. The grammar is enough to tell code from comments
//! and strings; it does not parse.

/// What kind of text a language is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Programs.
    Code,
    /// Configuration and data.
    Data,
    /// Text for people.
    Prose,
    /// Everything else, never read as text of a language.
    Other,
}

/// A string literal's delimiter, the same at both ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quote {
    pub(super) mark: &'static str,
    /// Whether the literal may go on over the end of its line.
    pub(super) multiline: bool,
}

/// How the body of a function is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Functions {
    /// `keyword name ... { ... }`
    Braces { keyword: &'static str },
    /// `def name ...:` and the deeper indented lines below it.
    Indented,
    /// Not looked for.
    Unknown,
}

/// One language.
#[derive(Debug)]
pub(super) struct Language {
    pub(super) name: &'static str,
    pub(super) family: Family,
    extensions: &'static [&'static str],
    pub(super) line_comments: &'static [&'static str],
    pub(super) block_comment: Option<(&'static str, &'static str)>,
    pub(super) quotes: &'static [Quote],
    pub(super) functions: Functions,
    /// Whether a line of code, trimmed, begins a test.
    pub(super) begins_test: fn(&str) -> bool,
}

impl Language {
    /// Rust has nested comments, raw strings and lifetimes, which nobody else here has.
    pub(super) fn is_rust(&self) -> bool {
        self.name == "rust"
    }
}

const fn quote(mark: &'static str) -> Quote {
    Quote {
        mark,
        multiline: false,
    }
}

const fn long_quote(mark: &'static str) -> Quote {
    Quote {
        mark,
        multiline: true,
    }
}

fn never(_line: &str) -> bool {
    false
}

/// `#[test]`, `#[tokio::test(...)]` and other attributes whose path ends in `test`.
fn rust_test(line: &str) -> bool {
    line.strip_prefix("#[").is_some_and(|rest| {
        let path = rest.split(['(', ']']).next().unwrap_or_default();
        path.rsplit("::").next() == Some("test")
    })
}

fn python_test(line: &str) -> bool {
    line.starts_with("def test_") || line.starts_with("async def test_")
}

fn go_test(line: &str) -> bool {
    line.starts_with("func Test")
}

fn script_test(line: &str) -> bool {
    line.starts_with("it(") || line.starts_with("test(")
}

/// The language of files that are none of the others.
static OTHER: Language = Language {
    name: "other",
    family: Family::Other,
    extensions: &[],
    ..PLAIN
};

const PLAIN: Language = Language {
    name: "text",
    family: Family::Prose,
    extensions: &["txt"],
    line_comments: &[],
    block_comment: None,
    quotes: &[],
    functions: Functions::Unknown,
    begins_test: never,
};

const C_LIKE: Language = Language {
    name: "c",
    family: Family::Code,
    extensions: &["c", "h", "cc", "cpp", "hpp"],
    line_comments: &["//"],
    block_comment: Some(("/*", "*/")),
    quotes: &[quote("\""), quote("'")],
    functions: Functions::Unknown,
    begins_test: never,
};

const HASHED: Language = Language {
    name: "yaml",
    family: Family::Data,
    extensions: &["yaml", "yml"],
    line_comments: &["#"],
    ..PLAIN
};

static LANGUAGES: &[Language] = &[
    C_LIKE,
    Language {
        name: "css",
        family: Family::Data,
        extensions: &["css"],
        line_comments: &[],
        ..C_LIKE
    },
    Language {
        name: "go",
        extensions: &["go"],
        quotes: &[quote("\""), quote("'"), long_quote("`")],
        functions: Functions::Braces { keyword: "func" },
        begins_test: go_test,
        ..C_LIKE
    },
    Language {
        name: "html",
        family: Family::Data,
        extensions: &["html", "htm", "svg", "xml"],
        block_comment: Some(("<!--", "-->")),
        ..PLAIN
    },
    Language {
        name: "java",
        extensions: &["java", "kt"],
        ..C_LIKE
    },
    Language {
        name: "javascript",
        extensions: &["js", "mjs", "cjs", "jsx"],
        quotes: &[quote("\""), quote("'"), long_quote("`")],
        functions: Functions::Braces {
            keyword: "function",
        },
        begins_test: script_test,
        ..C_LIKE
    },
    Language {
        name: "json",
        family: Family::Data,
        extensions: &["json", "jsonl"],
        ..PLAIN
    },
    Language {
        name: "markdown",
        extensions: &["md", "markdown"],
        ..PLAIN
    },
    Language {
        name: "python",
        family: Family::Code,
        extensions: &["py"],
        line_comments: &["#"],
        quotes: &[
            long_quote("\"\"\""),
            long_quote("'''"),
            quote("\""),
            quote("'"),
        ],
        functions: Functions::Indented,
        begins_test: python_test,
        ..PLAIN
    },
    Language {
        name: "rust",
        extensions: &["rs"],
        quotes: &[long_quote("\"")],
        functions: Functions::Braces { keyword: "fn" },
        begins_test: rust_test,
        ..C_LIKE
    },
    // Quotes are left alone: an apostrophe in a here-document would open a string that never ends.
    Language {
        name: "shell",
        family: Family::Code,
        extensions: &["sh", "bash"],
        ..HASHED
    },
    PLAIN,
    Language {
        name: "toml",
        extensions: &["toml"],
        quotes: &[
            long_quote("\"\"\""),
            long_quote("'''"),
            quote("\""),
            quote("'"),
        ],
        ..HASHED
    },
    Language {
        name: "typescript",
        extensions: &["ts", "tsx"],
        quotes: &[quote("\""), quote("'"), long_quote("`")],
        functions: Functions::Braces {
            keyword: "function",
        },
        begins_test: script_test,
        ..C_LIKE
    },
    HASHED,
];

/// The language of the file called `name` (its last path segment is enough).
pub(super) fn of(name: &str) -> &'static Language {
    let extension = name
        .rsplit('/')
        .next()
        .and_then(|name| name.rsplit_once('.'))
        .map(|(_, extension)| extension.to_ascii_lowercase());
    extension
        .and_then(|extension| {
            LANGUAGES
                .iter()
                .find(|language| language.extensions.contains(&extension.as_str()))
        })
        .unwrap_or(&OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(of(name).name, expected, "{name}");
    }

    #[test]
    fn the_extension_decides_whatever_its_case() {
        check("src/main.rs", "rust");
        check("README.MD", "markdown");
        check("deploy.d/run", "other");
        check("Makefile", "other");
        check("a.tar.gz", "other");
        check("conf/agents.yml", "yaml");
    }

    #[test]
    fn a_rust_test_is_an_attribute_whose_path_ends_in_test() {
        assert!(rust_test("#[test]"));
        assert!(rust_test("#[tokio::test(flavor = \"multi_thread\")]"));
        assert!(!rust_test("#[cfg(test)]"));
        assert!(!rust_test("#[testing]"));
    }
}
