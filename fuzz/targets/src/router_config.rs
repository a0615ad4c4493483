//! The router's configuration, in its own form and in the legacy form.

use trackyard_router::config::read;

/// A configuration that was read and written as a deploy writes it is the same configuration.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match read(text) {
        Ok(first) => {
            let text = serde_yaml::to_string(&first.config).expect("a configuration can be written");
            let again = read(&text).unwrap_or_else(|refusal| panic!("{refusal}\n{text}"));
            assert_eq!(again.config, first.config);
            assert!(again.notes.is_empty(), "it is written in its own form");
        }
        Err(refusal) => {
            // The characters that end a line in YAML.
            let ends = text.matches(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            assert!(refusal.position.is_none_or(|at| at.line <= ends + 2), "{refusal}");
        }
    }
}
