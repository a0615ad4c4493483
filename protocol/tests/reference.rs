//! The status table of `docs/reference.md` is the one of the code.

use std::fs;
use std::path::Path;

use strum::IntoEnumIterator;
use trackyard_protocol::reason::Reason;

const BEGIN: &str = "<!-- reasons: generated, `make docs` -->\n";
const END: &str = "<!-- end of reasons -->";

fn table() -> String {
    let mut rows = "| code | reason | meaning | retry |\n| --- | --- | --- | --- |\n".to_owned();
    for reason in Reason::iter() {
        let retry = if reason.is_retryable() { "yes" } else { "" };
        rows += &format!("| {} | `{}` | {} | {retry} |\n", reason.code(), reason.as_str(), reason.text());
    }
    rows
}

#[test]
fn the_reference_lists_every_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the begin marker");
    let (found, after) = rest.split_once(END).expect("the end marker");
    if std::env::var_os("TRACKYARD_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(found, table(), "docs/reference.md is out of date; `make docs` writes it again");
}
