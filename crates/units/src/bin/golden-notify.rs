//! See the module of the same name.

fn main() -> std::process::ExitCode {
    golden_units::notify::main()
}
