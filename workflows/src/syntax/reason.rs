//! Turns the parser's complaint into one that says what to change.

/// A reason, and a hint if there is a likely cause. `line` is the text of the complained line.
pub(super) fn explain(info: &str, line: &str) -> (String, Option<String>) {
    let trimmed = line.trim_start();
    let hint = if line.len() - trimmed.len() > 0
        && line[..line.len() - trimmed.len()].contains('\t')
        || info.contains("tab")
    {
        Some("indent with spaces, not with tabs")
    } else if info.contains("mapping values are not allowed") {
        Some("quote the text when it holds `: `, or check the indentation")
    } else if info.contains("quoted scalar") {
        Some("close the quotation mark")
    } else if info.contains("flow sequence") || info.contains("flow mapping") {
        Some(
            "close the bracket, separate entries by commas, and quote text that holds `[`, `]`, `{`, `}` or `,`",
        )
    } else if info.contains("simple key") || info.contains("did not find expected key") {
        Some("a key ends with `:`, and keys of one map have the same indentation")
    } else if info.contains("block collection") || info.contains("'-' indicator") {
        Some("entries of one list have the same indentation")
    } else if info.contains("unknown anchor") {
        Some("an alias names an anchor before it in the same document")
    } else if info.contains("character that cannot start any token")
        || info.contains("unexpected character")
    {
        Some("quote text that starts with `%`, `@` or a backtick")
    } else if info.contains("tag") || info.contains("handle") {
        Some("to start an expression with `!`, quote it")
    } else {
        None
    };
    let reason = info
        .strip_prefix("while ")
        .and_then(|rest| rest.split_once(", "))
        .map_or(info, |(_, reason)| reason);
    (reason.to_owned(), hint.map(str::to_owned))
}
