//! `trackyard`, the command line for users; everything is in the library.

fn main() -> std::process::ExitCode {
    trackyard::main()
}
