use super::arithmetic::share;
use super::unit::unit_help;
use super::written::written_number;
use super::*;

fn of(number: Numeric, unit: &str) -> Option<Quantity> {
    Quantity::with_unit(number, unit).and_then(Result::ok)
}

#[test]
fn units_become_base_units_and_stay_whole_where_they_are() {
    assert_eq!(of(Numeric::Integer(24), "h").map(|q| q.number), Some(Numeric::Integer(86_400)));
    assert_eq!(of(Numeric::Integer(60), "%").map(|q| q.number), Some(Numeric::Float(60.0 / 100.0)));
    assert_eq!(of(Numeric::Float(0.1), "%").map(|q| q.number), Some(Numeric::Float(0.1 / 100.0)));
    assert_eq!(of(Numeric::Float(1.5), "GiB").map(|q| q.number), Some(Numeric::Float(1_610_612_736.0)));
    assert_eq!(of(Numeric::Integer(3), "EFLOP").map(|q| q.number), Some(Numeric::Integer(3_000_000_000_000_000_000)));
}

#[test]
fn numbers_are_written_in_the_unit_in_which_they_are_whole() {
    let shown = |number, unit| written_number(&of(number, unit).expect("a unit"));
    assert_eq!(shown(Numeric::Integer(36), "h"), "36h");
    assert_eq!(shown(Numeric::Integer(48), "h"), "2d");
    assert_eq!(shown(Numeric::Float(0.5), "s"), "500ms");
    assert_eq!(shown(Numeric::Integer(11), "GiB"), "11GiB");
    assert_eq!(shown(Numeric::Integer(11), "GB"), "11GB");
    assert_eq!(shown(Numeric::Float(1.5), "EFLOP"), "1500PFLOP");
    assert_eq!(shown(Numeric::Float(12.5), "%"), "12.5%");
}

proptest::proptest! {
    #[test]
    fn what_is_written_reads_back_as_the_same(x in proptest::num::f64::POSITIVE, n in 0_i128..1 << 90) {
        use Dimension::{Percent, Plain, Size, Time, Work};
        for dimension in [Plain, Percent, Time, Size, Work] {
            for number in [Numeric::Float(x), Numeric::Integer(n)] {
                let text = written_number(&Quantity { number, dimension });
                let (expression, errors) = crate::syntax::parse_expression(crate::source::SourceId(0), &text);
                assert!(errors.is_empty(), "{text}: {errors:?}");
                let value = crate::recipe::eval::evaluate_expression(&expression.expect("short")).0;
                let back = match &value.kind {
                    ValueKind::Number(q) => q.number.as_f64(),
                    ValueKind::Tuple { items, .. } => match &items[0].kind {
                        ValueKind::Number(q) => q.number.as_f64(),
                        other => panic!("{other:?}"),
                    },
                    other => panic!("{text}: {other:?}"),
                };
                assert_eq!(back, number.as_f64(), "{text}");
            }
        }
    }
}

#[test]
fn every_share_of_a_hundred_is_whole() {
    for n in 0..=100 {
        assert_eq!(share(Numeric::Float(f64::from(n) / 100.0), Numeric::Integer(100)), Ok(Numeric::Integer(i128::from(n))));
    }
    assert_eq!(share(Numeric::Float(0.25), Numeric::Integer(5)), Ok(Numeric::Float(1.25)));
}

#[test]
fn what_could_be_meant_by_a_unit_is_said() {
    assert_eq!(unit_help("gb"), "did you mean `GB`?");
    assert_eq!(unit_help("hrs"), "did you mean `h`?");
    assert!(unit_help("M").contains("1_000_000"));
    assert!(unit_help("u64").contains("type"));
    assert!(unit_help("banana").contains("`EFLOP`"));
}

#[test]
fn no_bare_letter_that_could_be_two_things_is_a_unit() {
    assert!(["K", "M", "G", "T", "m"].iter().all(|name| of(Numeric::Integer(1), name).is_none()));
}
