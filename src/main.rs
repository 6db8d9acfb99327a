//! The command `retentiond`.

fn main() -> std::process::ExitCode {
    retentiond::cli::main()
}
