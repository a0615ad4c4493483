//! Plain tables, with columns two spaces apart, for people and for `awk`.

use comfy_table::{ContentArrangement, Table, presets};

use crate::console::escape_control;

/// Renders a header and rows, one line each, without trailing spaces.
#[must_use]
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| escape_control(cell).replace(['\n', '\t'], " ")));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["ruby".to_owned(), "a\nb".to_owned()], vec!["c".to_owned(), String::new()]];
        assert_eq!(render(&["TRACK", "X"], &rows), "TRACK  X\nruby   a b\nc");
    }
}
