//! The readers of patches and of transactions: they end, whatever they get, and say what is wrong.

use phisync_state::transaction::{Patch, read};

use super::drive;

/// The target for patches: the first line is the file, up to a line of `=`; then comes the patch.
fn patch(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (old, diff) = text.split_once("=\n").unwrap_or(("", &text));
    match Patch::parse(diff) {
        Ok(patch) => {
            // Twice the same, or twice refused.
            let once = patch.apply(old.as_bytes());
            assert_eq!(once, patch.apply(old.as_bytes()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The target for transactions.
fn transaction(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice(bytes) else {
        return;
    };
    if let Err(faults) = read(&value, None) {
        assert!(!faults.is_empty(), "refused without a word");
        for fault in faults {
            let found = value.pointer(&fault.pointer);
            assert!(found.is_some(), "`{}` points nowhere", fault.pointer);
        }
    }
}

#[test]
fn the_reader_of_patches_takes_anything() {
    let corpus = [
        "a\nb\nc\n=\n--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
        "=\n--- /dev/null\n+++ b/f\n@@ -0,0 +1,2 @@\n+x\n+y\n",
        "a\nb=\n--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n-a\n b\n\\ No newline at end of file\n",
    ];
    let corpus = corpus.map(|text| text.as_bytes().to_vec());
    let words: super::Words = &[
        b"@@ -1,3 +1,3 @@\n",
        b"@@ -18446744073709551615,1 +1 @@\n",
        b"\\ No newline at end of file\n",
        b"--- a/f\n",
        b"+++ b/f\n",
    ];
    drive(patch, &corpus, words);
}

#[test]
fn the_reader_of_transactions_takes_anything() {
    let corpus = [
        r#"{"phisync":1,"changes":[{"in":"src","write":"a/b.txt","content":"x"}]}"#,
        r#"{"changes":[{"in":"r","delete":"a"},{"in":"r","move":"b","to":"c"}]}"#,
        r#"{"changes":[{"document":"notes","set":{"a":1},"expect":{"version":3}}]}"#,
    ];
    let corpus = corpus.map(|text| text.as_bytes().to_vec());
    let words: super::Words = &[
        b"\"expect\":",
        b"\"patch\":",
        b"\"..\"",
        b"null",
        b"{}",
        b"[]",
        b"-1",
        b"1e999",
        b"\"mkdir\":\"d\",",
    ];
    drive(transaction, &corpus, words);
}
