//! `trackyard`, the user's command line. Everything is in the library.

fn main() -> std::process::ExitCode {
    trackyard::main()
}
