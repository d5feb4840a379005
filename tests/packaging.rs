//! What is in `packaging`, as far as it can be checked without root and without a mirror of Debian. The image and the Debian package
//! have scripts of their own: `packaging/test-image.sh` and `packaging/test-deb.sh`.

use std::path::{Path, PathBuf};

use serde_json::Value;

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging").join(path)
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

#[test]
fn the_release_is_a_workflow() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.github/workflows/release.yml");
    let text = std::fs::read_to_string(path).expect("the workflow");
    let workflow: Value = serde_yaml_ng::from_str(&text).expect("YAML");
    let jobs = workflow["jobs"].as_object().expect("jobs");
    assert!(["test", "build", "image", "publish"].iter().all(|name| jobs.contains_key(*name)));
    for (name, job) in jobs {
        let needs =
            [texts(&job["needs"]), job["needs"].as_str().map(str::to_owned).into_iter().collect()].concat();
        assert!(needs.iter().all(|needed| jobs.contains_key(needed)), "{name} needs {needs:?}");
    }
    // Every script that it runs is there, and can be run.
    let scripts: Vec<&str> =
        text.split("packaging/").skip(1).filter_map(|rest| rest.split([' ', '\n', ')']).next()).collect();
    for script in scripts.iter().filter(|name| name.ends_with(".sh")) {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(packaging(script))
            .unwrap_or_else(|e| panic!("{script}: {e}"))
            .permissions()
            .mode();
        assert_eq!(mode & 0o111, 0o111, "{script}");
    }
    assert!(scripts.len() >= 4, "{scripts:?}");
}
