//! Reads the digits of a decimal number: the hottest loop there is, twice for each price level.

use super::NumberError;
use super::number::MAX_DECIMALS;

/// All digits as one number, and how many of them stand behind the point.
#[inline]
pub(super) fn read(text: &[u8]) -> Result<(i64, u8), NumberError> {
    if text.len() <= SHORT { read_short(text) } else { read_long(text) }
}

/// Text so short that its digits cannot overflow: all that is common.
#[inline]
fn read_short(text: &[u8]) -> Result<(i64, u8), NumberError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut mantissa: i64 = 0;
    let mut at = 0;
    while let Some(digit) = digit(digits, at) {
        mantissa = mantissa * 10 + digit;
        at += 1;
    }
    if at == 0 || (at > 1 && digits[0] == b'0') {
        return Err(NumberError::NotDecimal);
    }
    let mut decimals = 0;
    if let [point, fraction @ ..] = &digits[at..] {
        if *point != b'.' || fraction.is_empty() {
            return Err(NumberError::NotDecimal);
        }
        decimals = u8::try_from(fraction.len()).map_err(|_| NumberError::TooLong)?;
        let mut rest = fraction;
        // Some venues pad everything to eight decimals: those are read at once.
        if let Some((eight, after)) = fraction.split_first_chunk() {
            mantissa = mantissa * 100_000_000 + eight_digits(*eight).ok_or(NumberError::NotDecimal)?;
            rest = after;
        }
        for at in 0..rest.len() {
            mantissa = mantissa * 10 + digit(rest, at).ok_or(NumberError::NotDecimal)?;
        }
    }
    Ok((if negative { -mantissa } else { mantissa }, decimals))
}

/// The number that `text` begins with, not negative and of at most nine digits on each side of the
/// point, and what follows it.
#[inline]
pub(super) fn read_start(text: &[u8]) -> Option<(i64, u8, &[u8])> {
    let (whole, length) = up_to_nine(text)?;
    if length == 0 || (length > 1 && text[0] == b'0') {
        return None;
    }
    let rest = &text[length..];
    let Some((b'.', fraction)) = rest.split_first() else { return Some((whole, 0, rest)) };
    let (parts, decimals) = up_to_nine(fraction)?;
    let mantissa = whole * POWERS[decimals] + parts;
    if decimals == 0 { None } else { Some((mantissa, u8::try_from(decimals).ok()?, &fraction[decimals..])) }
}

/// The whole number of at most 18 digits that `text` begins with, and what follows it.
#[inline]
pub(crate) fn whole_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut length) = up_to_eight(text);
    if length == 8 {
        let (more, digits) = up_to_eight(&text[8..]);
        (number, length) = (number * POWERS[digits] + more, 8 + digits);
        while let Some(digit) = digit(text, length) {
            if length == 18 {
                return None;
            }
            (number, length) = (number * 10 + digit, length + 1);
        }
    }
    let plain = length > 0 && (length == 1 || text[0] != b'0');
    if plain { Some((number.unsigned_abs(), &text[length..])) } else { None }
}

/// How many bytes of `text` come before the first that cannot simply stand in a JSON text: a quote,
/// a backslash, a control character, or anything that is not ASCII.
#[inline]
pub(crate) fn plain_length(text: &[u8]) -> usize {
    let mut length = 0;
    while let Some(eight) = text[length..].first_chunk() {
        let word = u64::from_le_bytes(*eight);
        let low = word & LOW;
        let differs = |byte: u64| ((word ^ byte) & LOW) + LOW;
        // The upper bit of each byte says whether it is plain.
        let plain =
            differs(QUOTES) & differs(BACKSLASHES) & (low + 0x6060_6060_6060_6060) & !(low + ONES) & !word;
        let end = (!plain & HIGH_BITS).trailing_zeros() / 8;
        length += end as usize;
        if end < 8 {
            return length;
        }
    }
    let plain = |&byte: &u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    length + text[length..].iter().take_while(|byte| plain(byte)).count()
}

/// The digits that `text` begins with and how many they are; `None` where they are more than nine.
#[inline]
fn up_to_nine(text: &[u8]) -> Option<(i64, usize)> {
    let (number, length) = up_to_eight(text);
    if length < 8 {
        return Some((number, length));
    }
    match (digit(text, 8), digit(text, 9)) {
        (None, _) => Some((number, 8)),
        (Some(last), None) => Some((number * 10 + last, 9)),
        (Some(_), Some(_)) => None,
    }
}

/// The first digits of `text`, at most eight, as a number, and how many they are. All at once: a
/// loop would be as often mispredicted as lengths differ.
#[inline]
fn up_to_eight(text: &[u8]) -> (i64, usize) {
    let Some(eight) = text.first_chunk() else { return few(text) };
    let digits = u64::from_le_bytes(*eight) ^ ZEROS;
    // The upper bit of each byte says whether it is no digit.
    let others = (((digits & LOW) + 0x7676_7676_7676_7676) | digits) & HIGH_BITS;
    let length = others.trailing_zeros() / 8;
    if length == 0 {
        return (0, 0);
    }
    // What is no digit goes out at the top, and zeros come in as the first digits.
    (joined(digits << (64 - 8 * length)), length as usize)
}

#[cold]
fn few(text: &[u8]) -> (i64, usize) {
    let (mut number, mut length) = (0, 0);
    while let Some(digit) = digit(text, length) {
        (number, length) = (number * 10 + digit, length + 1);
    }
    (number, length)
}

fn read_long(text: &[u8]) -> Result<(i64, u8), NumberError> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut mantissa: i64 = 0;
    let mut at = 0;
    while let Some(digit) = digit(digits, at) {
        mantissa = mantissa.checked_mul(10).and_then(|m| m.checked_add(digit)).ok_or(NumberError::TooLong)?;
        at += 1;
    }
    if at == 0 || (at > 1 && digits[0] == b'0') {
        return Err(NumberError::NotDecimal);
    }
    let mut decimals = 0;
    if at < digits.len() {
        if digits[at] != b'.' || at + 1 == digits.len() {
            return Err(NumberError::NotDecimal);
        }
        (mantissa, decimals) = read_fraction(mantissa, &digits[at + 1..])?;
    }
    Ok((if negative { -mantissa } else { mantissa }, decimals))
}

fn read_fraction(mut mantissa: i64, fraction: &[u8]) -> Result<(i64, u8), NumberError> {
    let mut decimals = 0_u8;
    for at in 0..fraction.len() {
        let Some(digit) = digit(fraction, at) else { return Err(NumberError::NotDecimal) };
        let longer = mantissa.checked_mul(10).and_then(|m| m.checked_add(digit));
        match longer {
            Some(longer) if decimals < MAX_DECIMALS => {
                mantissa = longer;
                decimals += 1;
            }
            // Zeros past what fits say nothing about the value: some venues pad to eight decimals.
            _ if fraction[at..].iter().all(|&byte| byte == b'0') => break,
            _ => return Err(NumberError::TooLong),
        }
    }
    Ok((mantissa, decimals))
}

#[inline]
fn digit(text: &[u8], at: usize) -> Option<i64> {
    let digit = text.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(i64::from(digit))
}

/// The number that eight digits write.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    let digits = u64::from_le_bytes(text) ^ ZEROS;
    let others = (((digits & LOW) + 0x7676_7676_7676_7676) | digits) & HIGH_BITS;
    if others == 0 { Some(joined(digits)) } else { None }
}

/// The number of eight digits, the first in the lowest byte, worked out in one word: neighbours are
/// joined to pairs, pairs to fours, fours to eight.
#[inline]
#[allow(clippy::cast_possible_wrap, reason = "eight digits fit 27 bits")]
const fn joined(digits: u64) -> i64 {
    const FIRST_OF_FOUR: u64 = 0x0000_00ff_0000_00ff;
    let pairs = digits * 10 + (digits >> 8);
    let upper = (pairs & FIRST_OF_FOUR).wrapping_mul(100 + (1_000_000 << 32));
    let lower = ((pairs >> 16) & FIRST_OF_FOUR).wrapping_mul(1 + (10_000 << 32));
    (upper.wrapping_add(lower) >> 32) as i64
}

const ZEROS: u64 = 0x3030_3030_3030_3030;
const QUOTES: u64 = 0x2222_2222_2222_2222;
const BACKSLASHES: u64 = 0x5c5c_5c5c_5c5c_5c5c;
const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

const POWERS: [i64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// As many bytes as a text may have whose digits always fit.
const SHORT: usize = 18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn short_text_is_read_as_long_text_is(text in "-?[0-9]{0,9}\\.?[0-9]{0,7}[0-9./:]?[0-9]{0,9}") {
            let short = &text.as_bytes()[..text.len().min(SHORT)];
            prop_assert_eq!(read_short(short), read_long(short));
        }

        #[test]
        fn the_start_of_a_text_is_read_as_all_of_it_is(text in "[0-9]{0,10}\\.?[0-9]{0,10}", end in "[\",a-]") {
            let longer = text.clone() + &end;
            if let Some((mantissa, decimals, rest)) = read_start(longer.as_bytes()) {
                prop_assert_eq!(read(text.as_bytes()), Ok((mantissa, decimals)));
                prop_assert_eq!(rest, end.as_bytes());
            } else {
                let usual = text.split('.').all(|part| (1..=9).contains(&part.len()));
                prop_assert!(!usual || read(text.as_bytes()).is_err());
            }
        }

        #[test]
        fn a_whole_number_is_read_up_to_18_digits_and_without_a_needless_zero(text in "[0-9]{0,20}", end in "[\",a}]{0,9}") {
            let longer = text.clone() + &end;
            let usual = (1..=18).contains(&text.len()) && (text.len() == 1 || !text.starts_with('0'));
            let expected = usual.then(|| (text.parse::<u64>().unwrap(), end.as_bytes()));
            prop_assert_eq!(whole_number(longer.as_bytes()), expected);
        }

        #[test]
        fn text_is_plain_up_to_what_json_writes_otherwise(bytes in "[ -~\\n\u{7f}-\u{ff}\"\\\\]{0,40}", other: Vec<u8>) {
            for bytes in [bytes.as_bytes(), &other] {
                let plain = |&byte: &u8| (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
                let expected = bytes.iter().position(|byte| !plain(byte)).unwrap_or(bytes.len());
                prop_assert_eq!(plain_length(bytes), expected);
            }
        }

        #[test]
        fn eight_bytes_are_eight_digits_or_nothing(bytes: [u8; 8], number in 0..100_000_000_i64) {
            let all = bytes.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(eight_digits(bytes).is_some(), all);
            let text: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(text), Some(number));
        }
    }
}
