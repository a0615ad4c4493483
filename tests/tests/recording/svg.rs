//! Renders terminal output as SVG, and extracts the text that is the same in every run.

use anstyle_svg::{Term, WIN10_CONSOLE};

/// Renders text with ANSI styles.
pub(crate) fn render(text: &str) -> String {
    Term::new().palette(WIN10_CONSOLE).render_svg(text)
}

/// Removes ANSI styles from a text.
pub(crate) fn without_styles(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    first + &parts.map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect::<String>()
}

/// Returns the text of an SVG, line by line, without times, and with one name for the two limits of which an endless loop
/// may reach either first.
pub(crate) fn stable_text(svg: &str) -> Vec<String> {
    let text = svg.replace("</tspan>", "").split('<').map(after_tag).collect::<String>();
    let word = |word: &str| match word {
        "cpu_time" => "wall_time".to_owned(),
        word if word.parse::<f64>().is_ok_and(|_| word.contains('.')) => "0.00".to_owned(),
        word => word.to_owned(),
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

fn after_tag(part: &str) -> &str {
    part.split_once('>').map_or("", |(_, text)| text)
}

#[test]
fn recordings_are_compared_without_times() {
    let of = |text: &str| stable_text(&render(text));
    assert_eq!(of("leap  \u{1b}[32m200\u{1b}[0m  1.23 s"), of("leap  \u{1b}[32m200\u{1b}[0m  10.41 s"));
    assert_eq!(of("401 wall_time"), of("401 cpu_time"));
    assert_ne!(of("leap 200"), of("leap 513"));
    assert_ne!(of("leap 200"), stable_text(""));
}
