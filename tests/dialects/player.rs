//! The player itself: a transcript that does not hold must not pass.

use std::collections::VecDeque;

use tickcast::market::{Event, Millis};

use crate::transcript::{Stage, Transcript};

/// Says what it was given, whatever happens.
struct Prepared(VecDeque<&'static str>, Vec<String>);

impl Stage for Prepared {
    fn now(&self) -> Millis {
        77
    }

    fn say(&mut self, text: &str) {
        self.1.push(text.to_owned());
    }

    fn happen(&mut self, _: &str, _: Event) {}

    fn pass(&mut self, _: Millis) {}

    fn hear(&mut self) -> Option<String> {
        self.0.pop_front().map(str::to_owned)
    }

    fn left_over(&mut self) -> Option<String> {
        self.hear()
    }
}

fn holds(transcript: &str, heard: &[&'static str]) -> bool {
    let transcript = Transcript::read("a text", transcript);
    let mut stage = Prepared(heard.iter().copied().collect(), Vec::new());
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| transcript.play(&mut stage))).is_ok()
}

#[test]
fn what_is_heard_must_be_what_is_written_in_order_and_nothing_more() {
    assert!(holds("< a\n\n# and\n< b", &["a", "b"]));
    assert!(!holds("< a\n< b", &["b", "a"]));
    assert!(!holds("< a", &["a", "b"]), "left over");
    assert!(!holds("< a\n< b", &["a"]), "missing");
    assert!(!holds("< a", &["ab"]) && !holds("< ab", &["a"]), "longer and shorter");
}

#[test]
fn a_name_stands_for_one_value_throughout_and_can_be_said() {
    let twice = "< {\"epoch\":\"<epoch>\",\"seq\":<seq>}\n< [\"<epoch>\"]";
    assert!(holds(twice, &["{\"epoch\":\"x\",\"seq\":12}", "[\"x\"]"]));
    assert!(!holds(twice, &["{\"epoch\":\"x\",\"seq\":12}", "[\"y\"]"]));
    assert!(holds("< <_>,\n< <_>,", &["1,", "2,"]), "but for this one");
    assert!(!holds("< <now>", &["78"]) && holds("< <now>", &["77"]));
    let transcript = Transcript::read("a text", "< {<a>}\n> said <a> at <now>");
    let mut stage = Prepared(VecDeque::from(["{5}"]), Vec::new());
    transcript.play(&mut stage);
    assert_eq!(stage.1, ["said 5 at 77"]);
}
