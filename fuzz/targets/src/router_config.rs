//! The router's configuration, in its own form and in the original platform's.

use trackyard_router::config::read;

/// A configuration that was read, written as a deploy writes it, is the same configuration.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read(text) {
        Ok(first) => {
            let text = serde_yaml::to_string(&first.config).expect("a configuration can be written");
            let again = read(&text).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"));
            assert_eq!(again.config, first.config);
            assert!(again.notes.is_empty(), "it is written in the own form");
        }
        Err(refusal) => {
            // What YAML takes for the end of a line.
            let ends = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!(refusal.position.is_none_or(|at| at.line <= ends + 2), "{refusal}");
        }
    }
}
