//! Checks the rules of a profile for answers.

use std::ops::Range;

use toml::{Spanned, de::DeValue};

use crate::endpoint::{
    classify::is_fixed,
    profile::{
        PointerTree,
        answer::{AnswerRule, Condition, PlaceCondition, Scalar, StatusPattern},
        body::{PointerFault, pointer_keys},
        reader::{Faults, Section, integer, one_of, word},
        terms::{AnswerKind, BodyKind},
    },
};

const CLASSES: &[(&str, StatusPattern)] = &[
    ("2xx", StatusPattern::Class(2)),
    ("3xx", StatusPattern::Class(3)),
    ("4xx", StatusPattern::Class(4)),
    ("5xx", StatusPattern::Class(5)),
];

const STATUSES: &str = "a list of codes like [200], a class like \"2xx\", or \"any\"";

pub(super) fn read(
    faults: &mut Faults,
    pointers: &mut PointerTree,
    mut section: Section<'_>,
    guard: bool,
) -> Option<AnswerRule> {
    section.need(faults, &["is"]);
    let is = section.word(faults, "is", AnswerKind::ALL);
    let before = faults.found.len();
    let status = section.get(faults, "status", STATUSES, statuses);
    let status = status.map(|status| undecided(faults, status)).unwrap_or_default();
    let is_success = faults.found.len() > before || is_success(&status);
    let kinds = format!("a list with {}", one_of(BodyKind::ALL));
    let kinds = section.list(faults, "body", &kinds, |kind| word(kind, BodyKind::ALL));
    let json = section.table(faults, "json").map(Section::entries).into_iter().flatten();
    let json: Vec<_> =
        json.filter_map(|(at, value)| condition(faults, pointers, &at, &value)).collect();
    let texts = [section.text(faults, "code"), section.text(faults, "detail")];
    let line = faults.lines.line(section.span.start);
    section.finish(faults);
    let is = is?;
    let kind = *is.get_ref();
    let looks_inside = json.iter().any(|of| of.condition != Condition::Absent);
    let body: Vec<_> =
        kinds.iter().flat_map(Spanned::get_ref).map(|kind| *kind.get_ref()).collect();
    proves_enough(
        faults,
        &is,
        (is_success, !body.is_empty() || looks_inside),
        looks_inside || guard,
    );
    if let Some(kinds) = kinds {
        let may_fit = !looks_inside || body.is_empty() || body.contains(&BodyKind::JsonObject);
        let what = "the rule can never fit, because json looks into an object: add \"json_object\"";
        faults.require(kinds.span(), may_fit, what);
    }
    let [code, detail] = texts.map(|text| {
        let (span, pointer) = text.map(|text| (text.span(), text.into_inner()))?;
        let is_kept = matches!(kind, AnswerKind::Gone | AnswerKind::Rejected);
        let what = "only \"gone\" and \"rejected\" keep a code or a detail: remove it";
        faults.require(span.clone(), is_kept, what);
        Some((pointer, span))
    });
    let code = code.and_then(|(pointer, span)| place(faults, pointers, &pointer, span, true));
    let detail = detail.and_then(|(pointer, span)| place(faults, pointers, &pointer, span, false));
    Some(AnswerRule { line, status, body, json, is: kind, code, detail })
}

/// A status alone neither settles nor rejects a job, and a success is a 2xx.
fn proves_enough(
    faults: &mut Faults,
    is: &Spanned<AnswerKind>,
    (is_success, may_settle): (bool, bool),
    may_condemn: bool,
) {
    match is.get_ref() {
        AnswerKind::Revoked | AnswerKind::Acknowledged | AnswerKind::Accepted => {
            let what =
                "a status alone settles no job, because gateways answer 200 too: add body or json";
            faults.require(is.span(), may_settle, what);
            faults.require(is.span(), is_success, "a success needs a status of 2xx, and no other");
        }
        AnswerKind::Gone | AnswerKind::Rejected => {
            let what = "a status alone rejects no job: add json, or set after_rejections as a \
                        guard against surges";
            faults.require(is.span(), may_condemn, what);
        }
        AnswerKind::Misconfigured | AnswerKind::Transient => {}
    }
}

fn is_success(status: &[StatusPattern]) -> bool {
    let is_2xx = |pattern: &StatusPattern| match pattern {
        StatusPattern::Code(code) => (200..300).contains(code),
        StatusPattern::Class(class) => *class == 2,
    };
    !status.is_empty() && status.iter().all(is_2xx)
}

/// The patterns of a status; none for any. `None` if it is no status.
fn statuses(value: &DeValue<'_>) -> Option<Vec<StatusPattern>> {
    let pattern = |item: &DeValue<'_>| {
        let code = integer(item).and_then(|code| u16::try_from(code).ok());
        let code = code.filter(|code| (100..600).contains(code)).map(StatusPattern::Code);
        code.or_else(|| word(item, CLASSES))
    };
    match value {
        DeValue::String(text) if text == "any" => Some(Vec::new()),
        DeValue::Array(items) if items.is_empty() => None,
        DeValue::Array(items) => items.iter().map(|item| pattern(item.get_ref())).collect(),
        item => Some(vec![pattern(item)?]),
    }
}

/// The patterns that a rule may judge.
fn undecided(faults: &mut Faults, status: Spanned<Vec<StatusPattern>>) -> Vec<StatusPattern> {
    let span = status.span();
    let is_decided = |pattern: &StatusPattern| match pattern {
        StatusPattern::Code(code) => is_fixed(*code),
        StatusPattern::Class(class) => matches!(class, 3 | 5),
    };
    let (decided, open): (Vec<_>, _) = status.into_inner().into_iter().partition(is_decided);
    let what = "no profile decides about 3xx, 408, 429 and 5xx, which are retried: remove them";
    faults.require(span, decided.is_empty(), what);
    if decided.is_empty() { open } else { Vec::new() }
}

fn condition(
    faults: &mut Faults,
    pointers: &mut PointerTree,
    pointer: &str,
    value: &Spanned<DeValue<'_>>,
) -> Option<PlaceCondition> {
    let place = place(faults, pointers, pointer, value.span(), true)?;
    let condition = match value.get_ref() {
        DeValue::String(word) if word == "present" => Some(Condition::Present),
        DeValue::String(word) if word == "absent" => Some(Condition::Absent),
        DeValue::Array(items) if !items.is_empty() => {
            let scalars = items.iter().map(|item| scalar(item.get_ref()));
            scalars.collect::<Option<Vec<_>>>().map(Condition::OneOf)
        }
        _ => None,
    };
    if condition.is_none() {
        faults.add(
            value.span(),
            "this is no condition: write \"present\", \"absent\", or a list of texts, whole numbers and booleans",
        );
    }
    let keys = pointer_keys(pointer).unwrap_or_default();
    Some(PlaceCondition { keys, place, condition: condition? })
}

fn place(
    faults: &mut Faults,
    pointers: &mut PointerTree,
    pointer: &str,
    span: Range<usize>,
    strict: bool,
) -> Option<usize> {
    let fault = match pointers.add(pointer, strict) {
        Ok(place) => return Some(place),
        Err(PointerFault::Syntax) => {
            "this is no JSON pointer (RFC 6901): write it like \"/error/code\", with up to 16 keys"
        }
        Err(PointerFault::Nested) => {
            "a pointer leads through the place of another one: look at one of the two only"
        }
    };
    faults.add(span, fault);
    None
}

fn scalar(value: &DeValue<'_>) -> Option<Scalar> {
    match value {
        DeValue::String(text) => Some(Scalar::Text(text.clone().into_owned())),
        DeValue::Boolean(flag) => Some(Scalar::Bool(*flag)),
        value => integer(value).map(Scalar::Integer),
    }
}
