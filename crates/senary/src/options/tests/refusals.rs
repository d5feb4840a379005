//! What is wrong in options, and how it is said.

use super::*;

#[test]
fn statistics_that_are_none_are_told_alone() {
    let wrong = json!({"summaryTrendStats": ["avg", "mode"], "setupTimeout": 0});
    for case in [
        Case { file: wrong.clone(), ..Case::default() },
        Case { script: wrong, ..Case::default() },
        Case { env: &[("K6_SUMMARY_TREND_STATS", "mode")], ..Case::default() },
        Case { args: &["--summary-trend-stats", "mode"], ..Case::default() },
    ] {
        let error = case.consolidate().unwrap_err();
        assert_eq!(error.exit_code(), 255);
        assert!(error.to_string().starts_with("invalid trend stat 'mode', unknown format"), "{error}");
    }
}

#[test]
fn a_config_file_nobody_asked_for_may_be_missing_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let default = folder.path().join("k6/config.json");
    let (home, default) = (folder.path().to_str().unwrap(), default.to_str().unwrap());
    let env: Environment = [("XDG_CONFIG_HOME", home)].into_iter().collect();
    let read = |flag| ConfigFile::read(&ConfigPath::find(flag, &env).unwrap()).map_err(|e| e.to_string());
    assert_eq!(read(None), Ok(ConfigFile::default()));
    assert_eq!(read(Some(default)), Ok(ConfigFile::default()));
    assert!(read(Some("nowhere.json")).unwrap_err().ends_with("no such file or directory"));
    std::fs::create_dir_all(default).unwrap();
    assert!(read(None).unwrap_err().starts_with("could not read the configuration file"));
}

#[test]
fn errors_say_where() {
    let error = |script: Value| Case { script, ..Case::default() }.error();
    let text = error(json!({"duration": "ten seconds"}));
    assert_eq!(
        text,
        "could not initialize 'script.js': parsing options from script got error: options.duration: time: invalid duration \"ten seconds\""
    );
    assert!(
        error(json!("fast please")).contains("options: expected an object of options, found \"fast please\"")
    );
    assert!(error(json!({"vus": "a"})).contains("\"a\" is not a whole number"));
    assert!(error(json!({"vus": 1.5})).contains("options.vus: expected a whole number, found 1.5"));
    let scenario = |scenario: Value| error(json!({"scenarios": {"a": scenario}}));
    assert!(scenario(json!({})).contains("scenario 'a' doesn't have a specified executor type"));
    assert!(scenario(Value::Null).contains("scenario 'a' doesn't have a specified executor type"));
    assert!(scenario(json!({"executor": "x"})).contains("unknown executor type 'x'"));
    let colour = json!({"executor": "constant-vus", "colour": "red"});
    assert!(scenario(colour).contains("json: unknown field \"colour\""));
    let stage = json!({"executor": "ramping-vus", "stages": [{"target": 1, "length": 2}]});
    assert!(scenario(stage).contains("json: unknown field \"length\""));
    let env = Case { env: &[("K6_VUS", "lots")], ..Case::default() };
    assert!(env.error().contains("\"lots\" of the environment variable K6_VUS: \"lots\" is not"));
    for (args, text) in [
        (["-s", "soon:many"], "error for stage 0: time: invalid duration \"soon\""),
        (["-s", ":5"], "stage 0 doesn't have a specified duration"),
        (["-s", "5:1"], "error for stage 0: time: missing unit in duration \"5\""),
        (["-s", "1s:1,1d:1"], "error for stage 1: time: unknown unit \"d\" in duration \"1d\""),
        (["-s", "1s:010x"], "error for stage 0: \"010x\" is not a whole number"),
        (["--tag", "justname"], "error parsing tag 'justname': invalid tag, empty value"),
        (["--tag", "a="], "error parsing tag 'a=': invalid tag, empty value"),
        (["--tag", "="], "error parsing tag '=': invalid tag, empty name"),
        (["--tag", ""], "error parsing tag '': invalid tag, empty string"),
        (["--summary-time-unit", "h"], "invalid summary time unit 'h', use 's', 'ms' or 'us'"),
        (["--summary-trend-stats", "avg,mode"], "invalid trend stat 'mode', unknown format"),
        (["--execution-segment", "2/3:1/3"], "must be less than its end"),
        (["--dns", "speed=1"], "unknown DNS configuration field: speed"),
        (["--dns", "ttl="], "no value for key ttl"),
        (["--dns", "foo"], "no value for key foo"),
        (["--dns", "ttl=soon"], "invalid DNS TTL: soon"),
        (["--dns", "policy=ANY"], "ANY does not belong to DNSPolicy values"),
        (["--dns", "select=First"], "First does not belong to DNSSelect values"),
        (["--blacklist-ip", "x"], "error parsing blacklist-ip 'x': invalid CIDR address: x"),
        (["--block-hostnames", "ok.test,a*b"], "invalid hostname pattern 'a*b'"),
        (["--local-ips", "x"], "invalid local IPs 'x'"),
    ] {
        let error = Case { args: &args, ..Case::default() }.consolidate().unwrap_err();
        assert!(matches!(error, OptionsError::Flag(_) | OptionsError::DnsTtl(_)), "{error:?}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn unknown_fields_are_named_with_their_line() {
    let json = json!({"vus": 1, "warpSpeed": 9, "stages": []});
    let text = "const warpSpeed = 2;\nexport const options = {\n  vus: 1,\n  'warpSpeed': 9,\n};\n";
    let script = ScriptOptions { name: "dir/script.js", text, json: &json };
    let notes = OptionLayers::default().consolidate(&script).unwrap().notes;
    assert_eq!(notes[0].text, "There were unknown fields in the options exported in the script");
    assert_eq!(notes[0].fields[0], ("error", "json: unknown field \"warpSpeed\"".to_owned()));
    assert_eq!(notes[0].fields[1], ("line", "dir/script.js:4".to_owned()));
}

/// JSON of any shape, with the names of options more often than not.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9:.,=/{}() %-]{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["1s", "-1h", "constant-vus", "ramping-vus", "tls1.2", "25%"])
            .prop_map(Value::from),
    ];
    let names = || {
        let mut names: Vec<String> = Options::default().to_json().keys().cloned().collect();
        names.extend(
            ["executor", "target", "ttl", "select", "min", "cert", "threshold", "rate"].map(str::to_owned),
        );
        prop_oneof![4 => prop::sample::select(names), 1 => "[a-zA-Z]{0,8}"]
    };
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_as_options_is_answered(json in any_json()) {
        let script = ScriptOptions { name: "script.js", text: "options = { scenarios: {} }", json: &json };
        let _ = OptionLayers::default().consolidate(&script);
    }

    /// What options print, they read back: archives depend on it.
    #[test]
    fn options_survive_their_json(json in any_json()) {
        if let Ok(options) = Options::decode(&json, &mut Remarks::default()) {
            let printed = Value::from(options.to_json());
            let mut remarks = Remarks::default();
            let back = Options::decode(&printed, &mut remarks).unwrap();
            prop_assert_eq!(Value::from(back.to_json()), printed);
            prop_assert!(remarks.is_empty(), "{:?}", remarks);
        }
    }

    #[test]
    fn any_variable_is_answered(text in ".{0,30}") {
        for name in ["K6_VUS", "K6_DURATION", "K6_STAGES", "K6_DNS", "K6_HOSTS", "K6_TAGS", "K6_THRESHOLDS",
            "K6_TLS_VERSION", "K6_TLS_AUTH", "K6_SYSTEM_TAGS", "K6_THROW"] {
            let env: Environment = [(name, text.as_str())].into_iter().collect();
            let _ = Options::from_environment(&env, &mut Remarks::default());
        }
    }
}
