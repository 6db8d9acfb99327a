//! The command `retentiond`.

fn main() -> std::process::ExitCode {
    // One provider for all of TLS. It can be there already only where this function was entered twice.
    drop(rustls::crypto::ring::default_provider().install_default());
    retentiond::cli::main()
}
