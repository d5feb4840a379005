//! Options as JSON: of a script, an archive or a config file, up to the plan of a test.
#![no_main]

use libfuzzer_sys::fuzz_target;
use senary::options::ConfigFile;
use senary::environment::Environment;
use senary::options::{CommandLine, OptionLayers, Options, Remarks, ScriptOptions};
use senary::settings::RuntimeSettings;
use senary::plan::{ScriptFacts, TestPlan};
use senary_metrics::Registry;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let Ok(json) = serde_json::from_str::<Value>(text) else { return };
    if let Value::Object(object) = &json {
        let _ = ConfigFile::decode(object.clone());
    }
    if let Ok(options) = Options::decode(&json, &mut Remarks::default()) {
        let encoded = Value::Object(options.to_json());
        let mut remarks = Remarks::default();
        let again = Options::decode(&encoded, &mut remarks).expect("what was written is read");
        // Not set and set to the default are written alike.
        assert_eq!(Value::Object(again.to_json()), encoded);
        assert_eq!(remarks, Remarks::default());
    }
    let Ok(layers) = OptionLayers::read(CommandLine::default(), &Environment::default(), None) else { return };
    let Ok(consolidated) = layers.consolidate(&ScriptOptions { name: "script.js", text, json: &json }) else {
        return;
    };
    let facts = ScriptFacts {
        exports: &["default".to_owned()],
        registry: &Registry::new(),
        name: "script.js",
        text: text,
    };
    if let Ok(plan) = TestPlan::new(consolidated, &RuntimeSettings::default(), &facts) {
        plan.load.max_vus();
        plan.load.max_duration();
    }
});
