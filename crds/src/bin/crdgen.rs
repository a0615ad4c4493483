//! Prints the generated files of the resources: `crdgen yaml`, `crdgen json` or `crdgen reference`. `make docs` writes
//! the committed ones.

use std::io::{self, Write};
use std::process::ExitCode;

use trackyard_crds::generate::all;

const USAGE: &str = "usage: crdgen yaml|json|reference";

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    match run(&word) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing can be done if this cannot be written either.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(word: &str) -> io::Result<()> {
    let files = all().map_err(io::Error::other)?;
    let ending = match word {
        "yaml" => ".yaml",
        "json" => ".json",
        "reference" => ".md",
        _ => return Err(io::Error::other(USAGE)),
    };
    let wanted = files.iter().filter(|file| file.path.ends_with(ending) && !file.path.starts_with("charts/"));
    let between = if word == "yaml" { "---\n" } else { "" };
    wanted.into_iter().try_for_each(|file| write!(io::stdout(), "{between}{}", file.text))
}
