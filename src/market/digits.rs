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
    let mut mantissa: i64 = 0;
    let mut at = 0;
    while let Some(digit) = digit(text, at) {
        // Nine digits here and nine behind the point cannot overflow, and are what is common.
        if at == 9 {
            return None;
        }
        mantissa = mantissa * 10 + digit;
        at += 1;
    }
    if at == 0 || (at > 1 && text[0] == b'0') {
        return None;
    }
    let Some((b'.', fraction)) = text[at..].split_first() else { return Some((mantissa, 0, &text[at..])) };
    let (mut decimals, mut rest) = (0, fraction);
    if let Some((eight, after)) = fraction.split_first_chunk()
        && let Some(eight) = eight_digits(*eight)
    {
        mantissa = mantissa * 100_000_000 + eight;
        (decimals, rest) = (8, after);
    }
    while let Some(digit) = digit(rest, 0) {
        if decimals == 9 {
            return None;
        }
        mantissa = mantissa * 10 + digit;
        decimals += 1;
        rest = &rest[1..];
    }
    (decimals > 0).then_some((mantissa, decimals, rest))
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

/// The number that eight digits write, worked out in one word: neighbours are joined to pairs, pairs
/// to fours, fours to eight.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    const FIRST_OF_FOUR: u64 = 0x0000_00ff_0000_00ff;
    let word = u64::from_le_bytes(text);
    // A byte is a digit when its upper half is 3, and still is after adding 6.
    let carried = word.wrapping_add(0x0606_0606_0606_0606);
    if word & HIGH != ZEROS || carried & HIGH != ZEROS {
        return None;
    }
    let digits = word - ZEROS;
    let pairs = digits * 10 + (digits >> 8);
    let upper = (pairs & FIRST_OF_FOUR).wrapping_mul(100 + (1_000_000 << 32));
    let lower = ((pairs >> 16) & FIRST_OF_FOUR).wrapping_mul(1 + (10_000 << 32));
    i64::try_from(upper.wrapping_add(lower) >> 32).ok()
}

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
        fn eight_bytes_are_eight_digits_or_nothing(bytes: [u8; 8], number in 0..100_000_000_i64) {
            let all = bytes.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(eight_digits(bytes).is_some(), all);
            let text: [u8; 8] = format!("{number:08}").into_bytes().try_into().unwrap();
            prop_assert_eq!(eight_digits(text), Some(number));
        }
    }
}
