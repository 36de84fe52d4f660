//! The description holds: what it promises is what is answered.

use serde_json::Value;

use crate::ask::{ask, fetch, fetch_until, get};
use crate::running::Running;

/// Checks `value` against a schema of the few kinds that the description uses.
fn check(schema: &Value, value: &Value, whole: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let found = whole.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{at}: {name}"));
        return check(found, value, whole, at);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let kind = |choice: &Value| match choice["$ref"].as_str() {
            Some(name) => whole.pointer(name.trim_start_matches('#')).unwrap()["type"].clone(),
            None => choice["type"].clone(),
        };
        let fits = choices.iter().find(|choice| kind(choice) == type_of(value));
        return check(fits.unwrap_or_else(|| panic!("{at}: {value} fits nothing")), value, whole, at);
    }
    if let Some(choices) = schema["enum"].as_array() {
        assert!(choices.contains(value), "{at}: {value} is none of {choices:?}");
        return;
    }
    assert_eq!(schema["type"], type_of(value), "{at}: {value}");
    match value {
        Value::Object(fields) => {
            let Some(known) = schema["properties"].as_object() else { return };
            for name in schema["required"].as_array().unwrap() {
                assert!(fields.contains_key(name.as_str().unwrap()), "{at}: no {name}");
            }
            for (name, value) in fields {
                let schema = known.get(name).unwrap_or_else(|| panic!("{at}: {name} is not described"));
                check(schema, value, whole, &format!("{at}.{name}"));
            }
        }
        Value::Array(items) => {
            for bound in ["minItems", "maxItems"] {
                assert!(schema[bound].as_u64().is_none_or(|count| count == items.len() as u64), "{at}");
            }
            items.iter().for_each(|item| check(&schema["items"], item, whole, at));
        }
        Value::String(text) if schema["pattern"].is_string() => {
            let digits = text.trim_start_matches('-').replacen('.', "", 1);
            assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{at}: {text}");
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn parameters(whole: &Value, path: &str) -> Vec<Value> {
    let listed = whole["paths"][path]["get"]["parameters"].as_array().unwrap().iter();
    let named = |one: &Value| match one["$ref"].as_str() {
        Some(name) => whole.pointer(name.trim_start_matches('#')).unwrap().clone(),
        None => one.clone(),
    };
    listed.map(named).collect()
}

#[test]
fn every_address_answers_as_described() {
    let server = Running::start(|_| {});
    let mut market = server.market("BTCUSDT");
    market.snapshot();
    market.trade();
    market.settle();
    fetch_until(&server, "/api/v1/trades?symbol=BTCUSDT", |trades| trades["seq"] == 1);
    let whole = fetch(&server, "/api/v1/openapi.json");
    for path in whole["paths"].as_object().unwrap().keys() {
        let mut asked = Vec::new();
        for parameter in parameters(&whole, path) {
            asked.push(match parameter["name"].as_str().unwrap() {
                "symbol" => "symbol=BTCUSDT".to_owned(),
                "interval" => "interval=5m".to_owned(),
                name => format!("{name}={}", if name == "to" { "9999999999999" } else { "1" }),
            });
        }
        let path = &format!("{path}?{}", asked.join("&"));
        let answer = get(&server, path);
        assert_eq!(answer.status, 200, "{path}");
        let described = whole["paths"][path.split('?').next().unwrap()]["get"]["responses"]["200"]
            .pointer("/content/application~1json/schema")
            .unwrap();
        check(described, &answer.json(), &whole, path);
    }
    check(&whole["components"]["schemas"]["Ticker"], &fetch(&server, "/api/v1/ticker")[0], &whole, "tickers");
}

#[test]
fn every_bound_and_choice_of_the_description_is_the_servers() {
    let server = Running::start(|_| {});
    server.market("BTCUSDT").snapshot();
    let whole = fetch(&server, "/api/v1/openapi.json");
    let bad = &whole["components"]["schemas"]["BadField"];
    let mut wrong = 0;
    for path in whole["paths"].as_object().unwrap().keys() {
        let parameters = parameters(&whole, path);
        let usual = |name: &str| match name {
            "symbol" => Some("BTCUSDT"),
            "interval" => Some("1m"),
            _ => None,
        };
        let ask_with = |changed: &str, value: &str| {
            let fields = parameters.iter().filter_map(|parameter| {
                let name = parameter["name"].as_str().unwrap();
                let value = if name == changed { Some(value) } else { usual(name) }?;
                Some(format!("{name}={value}"))
            });
            ask(&server, "GET", &format!("{path}?{}", fields.collect::<Vec<_>>().join("&")), &[])
        };
        for parameter in &parameters {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let mut refused = vec!["no-such-thing".to_owned()];
            refused.extend(schema["minimum"].as_i64().map(|least| (least - 1).to_string()));
            refused.extend(schema["maximum"].as_i64().map(|most| (most + 1).to_string()));
            for value in refused {
                let answer = ask_with(name, &value);
                assert_eq!(
                    (answer.status, &answer.json()["field"]),
                    (400, &name.into()),
                    "{path} {name}={value}"
                );
                check(bad, &answer.json(), &whole, path);
                wrong += 1;
            }
            let choices =
                schema["enum"].as_array().into_iter().flatten().map(|choice| choice.as_str().unwrap().into());
            let bounds =
                ["minimum", "maximum"].map(|bound| schema[bound].as_i64().map(|bound| bound.to_string()));
            for value in choices.chain(bounds.into_iter().flatten()) {
                if name != "to" {
                    assert_ne!(ask_with(name, &value).status, 400, "{path} {name}={value}");
                }
            }
        }
    }
    assert!(wrong > 10, "{wrong}");
}
