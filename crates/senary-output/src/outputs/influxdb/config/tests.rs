use senary_metrics::Registry;
use senary_metrics::threshold::WatchList;
use serde_json::{Value, json};

use super::*;

fn read(argument: &str, env: &[(&str, &str)], file: &Value) -> Result<Config, SettingError> {
    let (registry, watched) = (Registry::new(), WatchList::default());
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let collectors = Some(file);
    let context = OutputContext { env: &env, collectors, ..OutputContext::of(&registry, &watched) };
    Config::consolidate(Some(argument), &context)
}

fn refused(argument: &str) -> String {
    read(argument, &[], &Value::Null).unwrap_err().to_string()
}

#[test]
fn the_url_beats_the_environment_and_that_the_configuration_file() {
    let file = json!({"influxdb": {
        "addr": "http://file:1", "precision": "s", "retention": "month", "tagsAsFields": ["n:int", "m"],
        "concurrentWrites": 7, "nothing": {}, "db": null, "pushInterval": "5s"
    }});
    let env = [("K6_INFLUXDB_DB", "fromenv"), ("K6_INFLUXDB_PRECISION", "ms"), ("K6_INFLUXDB_USERNAME", "")];
    let config = read("http://us:p%40ss@h/pre/fix/from%20url?precision=u&insecure=1", &env, &file).unwrap();
    let expected = Config {
        addr: "http://h/pre/fix".to_owned(),
        username: Some("us".to_owned()),
        password: Some("p@ss".to_owned()),
        insecure: true,
        db: "from url".to_owned(),
        bucket: Some("from url".to_owned()),
        precision: Precision::Microseconds,
        retention: "month".to_owned(),
        concurrent_writes: 7,
        push_interval: Duration::from_secs(5),
        fields: Some(Fields::parse(["n:int", "m"]).unwrap()),
        ..Config::default()
    };
    assert_eq!(config, expected);
    let config = read("", &env, &file).unwrap();
    assert_eq!((&*config.addr, &*config.db), ("http://file:1", "fromenv"));
    assert_eq!(config.precision, Precision::Milliseconds);
    assert_eq!(read("", &[], &Value::Null).unwrap(), Config::default());
    let config = read("db=other,tagsAsFields=a:int,b,addr=http://h:1/p", &env, &file).unwrap();
    assert_eq!((&*config.addr, &*config.db), ("http://h:1/p", "other"));
    assert_eq!(config.fields(), Fields::parse(["a:int", "b"]).unwrap());
}

#[test]
fn what_is_before_the_database_is_in_front_of_its_paths() {
    let parts = |url: &str| {
        let config = read(url, &[("K6_INFLUXDB_DB", "env")], &Value::Null).unwrap();
        (config.addr, config.db)
    };
    let pair = |addr: &str, db: &str| (addr.to_owned(), db.to_owned());
    assert_eq!(parts("https://h:1"), pair("https://h:1", "env"));
    assert_eq!(parts("https://h:1/"), pair("https://h:1", "env"));
    assert_eq!(parts("https://h:1/db"), pair("https://h:1", "db"));
    assert_eq!(parts("https://h:1/a/b/"), pair("https://h:1/a/b", "env"));
    assert_eq!(parts("http://[::1]:8086/a/b"), pair("http://[::1]:8086/a", "b"));
    assert_eq!(parts("udp://h:8089"), pair("udp://h:8089", "env"));
}

#[test]
fn version_2_has_numbers_for_vus_and_iterations() {
    let config = read("http://h/?token=t", &[], &Value::Null).unwrap();
    assert_eq!(config.fields(), Fields::parse(["vu:int", "iter:int", "url"]).unwrap());
    let config = read("http://h/?token=t&tagsAsFields=vu", &[], &Value::Null).unwrap();
    assert_eq!(config.fields(), Fields::parse(["vu"]).unwrap());
}

#[test]
fn fields_may_come_several_times_in_the_url() {
    let config = read("http://h/?tagsAsFields=a:int&tagsAsFields=b,c:bool", &[], &Value::Null).unwrap();
    assert_eq!(config.fields(), Fields::parse(["a:int", "b", "c:bool"]).unwrap());
}

#[test]
fn wrong_settings_say_what_is_right() {
    assert_eq!(refused("http://h/db?retries=3"), "unknown query parameter: retries");
    assert_eq!(
        refused("http://h/db?precison=s"),
        "unknown query parameter: precison; did you mean precision?"
    );
    assert_eq!(
        refused("ftp://h/db"),
        "Unsupported protocol scheme: ftp, your address must start with http:// or https://"
    );
    for address in ["127.0.0.1:8086", "udp://h"] {
        assert_eq!(
            refused(address),
            format!(
                "{address:?} is not an address of InfluxDB: write http://HOST:PORT/DATABASE, or udp://HOST:PORT"
            )
        );
    }
    for number in ["0", "-1"] {
        assert_eq!(
            refused(&format!("http://h/?concurrentWrites={number}")),
            "concurrentWrites: influxdb's ConcurrentWrites must be a positive number"
        );
    }
    for (parameter, error) in [
        ("pushInterval=soon", "pushInterval: time: invalid duration \"soon\""),
        ("precision=x", "precision: \"x\" is not a precision: use ns, u, ms, s, m or h"),
        ("precision=m&token=t", "version 2 of InfluxDB does not know the precision m: use ns, us, ms or s"),
        ("proxy=h:3128", "the proxy has to be http://HOST:PORT, not \"h:3128\""),
        ("payload_size=0", "payloadSize: 0 is not a number of bytes"),
    ] {
        assert_eq!(refused(&format!("http://h/?{parameter}")), error);
    }
    assert_eq!(
        refused("udp://h:1/?token=t"),
        "a token is for version 2 of InfluxDB, which does not take points over UDP"
    );
}
