//! How the program is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Code the compiler knows to be cold (panics, errors) is kept together, instead of between what runs: pages of it
    // are not mapped then. Linkers that do not know the option leave it at that.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,keep-text-section-prefix");
    }
}
