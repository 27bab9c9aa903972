//! See the module of the same name.

fn main() -> std::process::ExitCode {
    golden_cli::pin_golden::main()
}
