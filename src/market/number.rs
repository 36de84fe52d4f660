//! Exact decimal numbers: what a venue wrote is what a client reads.
//!
//! No float ever touches a price or a quantity, and nothing is printed in scientific notation.

use thiserror::Error;

use super::digits;

/// The largest number of digits after the point that is understood.
pub(super) const MAX_DECIMALS: u8 = 18;

/// A decimal number as it was written: `45000.00` is not `45000`, and both print as they came.
///
/// Invariants: `decimals` is at most 18; text → value → text is the identity for every text that
/// [`Decimal::parse`] accepts (but for digits past the 18th that are all zero, which are dropped).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i64,
    decimals: u8,
}

impl Decimal {
    /// A number from its digits and how many of them stand behind the point (at most 18).
    pub const fn new(mantissa: i64, decimals: u8) -> Decimal {
        assert!(decimals <= MAX_DECIMALS);
        Decimal { mantissa, decimals }
    }

    /// Reads plain decimal text: an optional `-`, digits without a needless leading zero, and
    /// optionally a point with at least one digit behind it.
    ///
    /// # Errors
    /// [`NumberError`] when the text is anything else, or holds more than 18 significant digits
    /// (19 where they fit 64 bits).
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Decimal, NumberError> {
        let (mantissa, decimals) = digits::read(text)?;
        Ok(Decimal { mantissa, decimals })
    }

    /// Reads the number that `text` begins with and gives what follows it; `None` where there is
    /// none, or a negative one, or one with over nine digits on a side of the point, which is for
    /// [`Decimal::parse`].
    #[inline]
    pub fn parse_start(text: &[u8]) -> Option<(Decimal, &[u8])> {
        let (mantissa, decimals, rest) = digits::read_start(text)?;
        Some((Decimal { mantissa, decimals }, rest))
    }

    /// The digits without the point.
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// How many digits stand behind the point.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// The same value as a whole number of units of `10^-scale`, or the number of decimals that
    /// would be needed to hold it.
    #[inline]
    pub fn at_scale(self, scale: Scale) -> Result<Price, Scale> {
        if self.decimals == scale.0 {
            return Ok(Price(self.mantissa));
        }
        if self.decimals < scale.0 {
            let factor = POWERS[usize::from(scale.0 - self.decimals)];
            return self.mantissa.checked_mul(factor).map(Price).ok_or(scale);
        }
        let divisor = POWERS[usize::from(self.decimals - scale.0)];
        if self.mantissa % divisor == 0 {
            Ok(Price(self.mantissa / divisor))
        } else {
            Err(Scale(self.trimmed().decimals))
        }
    }

    /// The same value without zeros at the end of the fraction.
    #[must_use]
    pub fn trimmed(self) -> Decimal {
        let mut trimmed = self;
        while trimmed.decimals > 0 && trimmed.mantissa % 10 == 0 {
            trimmed.mantissa /= 10;
            trimmed.decimals -= 1;
        }
        trimmed
    }

    /// Appends the number as plain text.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        write_scaled(self.mantissa.into(), self.decimals, out);
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(24);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl std::str::FromStr for Decimal {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Decimal, NumberError> {
        Decimal::parse(text.as_bytes())
    }
}

/// How many digits behind the point a symbol's prices are printed with, at most 18.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scale(u8);

impl Scale {
    /// `None` when `decimals` is more than 18.
    pub const fn new(decimals: u8) -> Option<Scale> {
        if decimals <= MAX_DECIMALS { Some(Scale(decimals)) } else { None }
    }

    /// Digits behind the point.
    pub const fn decimals(self) -> u8 {
        self.0
    }

    /// By what a price at this scale is multiplied to stand at the scale `to`, which is not smaller.
    pub(crate) fn factor_to(self, to: Scale) -> i64 {
        POWERS[usize::from(to.0 - self.0)]
    }
}

/// A price as a whole number of units of its symbol's [`Scale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(pub i64);

impl Price {
    /// The largest that a price may become because its scale grew: 18 digits. Without growing the
    /// largest has 19, so that a market can rise ninefold under needless decimals of one price.
    pub const LARGEST_RESCALED: i64 = 999_999_999_999_999_999;

    /// The price as it is printed.
    pub fn to_decimal(self, scale: Scale) -> Decimal {
        Decimal { mantissa: self.0, decimals: scale.0 }
    }

    /// Appends the price as plain text, always with all decimals of `scale`.
    #[inline]
    pub fn write(self, scale: Scale, out: &mut Vec<u8>) {
        write_scaled(self.0.into(), scale.0, out);
    }
}

/// A quantity with the decimals that it came with.
///
/// Invariant: not negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Quantity(Decimal);

impl Quantity {
    /// Nothing; in a delta it removes the level.
    pub const ZERO: Quantity = Quantity(Decimal::new(0, 0));

    /// A quantity from its digits and decimals; `None` when negative.
    pub const fn new(decimal: Decimal) -> Option<Quantity> {
        if decimal.mantissa < 0 { None } else { Some(Quantity(decimal)) }
    }

    /// Reads a quantity.
    ///
    /// # Errors
    /// As [`Decimal::parse`], and [`NumberError::Negative`].
    #[inline]
    pub fn parse(text: &[u8]) -> Result<Quantity, NumberError> {
        Quantity::new(Decimal::parse(text)?).ok_or(NumberError::Negative)
    }

    /// Whether there is nothing, however many zeros it is written with.
    #[inline]
    pub const fn is_zero(self) -> bool {
        self.0.mantissa == 0
    }

    /// The number itself.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Appends the quantity as it came.
    #[inline]
    pub fn write(self, out: &mut Vec<u8>) {
        self.0.write(out);
    }
}

/// A sum of quantities, or of prices times quantities: wide, exact, with the most decimals seen.
///
/// Kept as two words, not as one `i128`, whose alignment would make it (and with it every bar that
/// is held in memory) a third larger.
#[derive(Clone, Copy, Debug, Default)]
pub struct Total {
    high: i64,
    low: u64,
    decimals: u8,
}

impl Total {
    /// The sum of nothing.
    pub const ZERO: Total = Total { high: 0, low: 0, decimals: 0 };

    /// So many units of the last of these decimals.
    #[allow(clippy::cast_possible_truncation, reason = "the two halves are cut on purpose")]
    pub(crate) const fn from_parts(mantissa: i128, decimals: u8) -> Total {
        Total { high: (mantissa >> 64) as i64, low: mantissa as u64, decimals }
    }

    /// What [`Total::from_parts`] makes it of.
    pub(crate) const fn parts(self) -> (i128, u8) {
        (self.mantissa(), self.decimals)
    }

    const fn mantissa(self) -> i128 {
        ((self.high as i128) << 64) | self.low as i128
    }

    /// `price × quantity`, exact.
    pub fn product(price: Decimal, quantity: Quantity) -> Total {
        let mantissa = i128::from(price.mantissa) * i128::from(quantity.0.mantissa);
        Total::from_parts(mantissa, price.decimals + quantity.0.decimals)
    }

    /// Adds `other`; at the end of the 38 digits (no market reaches it) the sum stays where it is.
    #[inline]
    pub fn add(&mut self, other: Total) {
        match self.mantissa().checked_add(other.mantissa()) {
            Some(sum) if self.decimals == other.decimals => *self = Total::from_parts(sum, self.decimals),
            Some(_) | None => self.combine(other, i128::saturating_add),
        }
    }

    /// Takes `other` away again.
    pub fn subtract(&mut self, other: Total) {
        self.combine(other, i128::saturating_sub);
    }

    fn combine(&mut self, other: Total, operation: fn(i128, i128) -> i128) {
        let decimals = self.decimals.max(other.decimals);
        let mantissa = operation(self.widened(decimals), other.widened(decimals));
        *self = Total::from_parts(mantissa, decimals);
    }

    fn widened(self, decimals: u8) -> i128 {
        if decimals == self.decimals {
            return self.mantissa();
        }
        let factor = 10_i128.pow(u32::from(decimals - self.decimals));
        self.mantissa().saturating_mul(factor)
    }

    /// `self` in percent of `whole`, with two decimals, rounded half away from zero; `None` of nothing.
    pub fn percent_of(self, whole: Total) -> Option<Total> {
        let decimals = self.decimals.max(whole.decimals);
        let (part, whole) = (self.widened(decimals), whole.widened(decimals));
        if whole == 0 {
            return None;
        }
        let scaled = part.checked_mul(10_000 * 2)?;
        // A division of 128 bits takes ten times as long, and the usual numbers fit 64.
        let doubled = match (i64::try_from(scaled), i64::try_from(whole)) {
            (Ok(scaled), Ok(whole)) => i128::from(scaled.wrapping_div(whole)),
            _ => scaled / whole,
        };
        Some(Total::from_parts((doubled + doubled.signum()) / 2, 2))
    }

    /// Whether the sum is nothing.
    pub const fn is_zero(self) -> bool {
        self.high == 0 && self.low == 0
    }

    /// The sum without zeros at its end, but with at least `least` decimals.
    #[must_use]
    pub fn trimmed(self, least: u8) -> Total {
        let (mut mantissa, mut decimals) = (self.mantissa(), self.decimals);
        // Eight zeros at once where there are as many: venues pad both factors of a product.
        if decimals >= least + 8 && mantissa % 100_000_000 == 0 {
            mantissa /= 100_000_000;
            decimals -= 8;
        }
        while decimals > least && mantissa % 10 == 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        if decimals < least {
            return Total::from_parts(self.widened(least), least);
        }
        Total::from_parts(mantissa, decimals)
    }

    /// Appends the sum as plain text.
    pub fn write(self, out: &mut Vec<u8>) {
        write_scaled(self.mantissa(), self.decimals, out);
    }

    /// Digits behind the point.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }
}

impl PartialEq for Total {
    fn eq(&self, other: &Total) -> bool {
        let decimals = self.decimals.max(other.decimals);
        self.widened(decimals) == other.widened(decimals)
    }
}

impl Total {
    /// The same in one word, where it fits.
    pub fn to_decimal(self) -> Option<Decimal> {
        let mantissa = i64::try_from(self.mantissa()).ok()?;
        (self.decimals <= MAX_DECIMALS).then(|| Decimal::new(mantissa, self.decimals))
    }
}

impl From<Decimal> for Total {
    fn from(decimal: Decimal) -> Total {
        Total::from_parts(decimal.mantissa.into(), decimal.decimals)
    }
}

impl From<Quantity> for Total {
    fn from(quantity: Quantity) -> Total {
        quantity.0.into()
    }
}

impl std::fmt::Display for Total {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::with_capacity(40);
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// Why a text is not a number that can be kept exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NumberError {
    /// Not plain decimal text.
    #[error("not a plain decimal number such as 45000.00")]
    NotDecimal,
    /// More digits than 64 bits hold, or more than 18 behind the point.
    #[error("more than 18 significant digits")]
    TooLong,
    /// A quantity below zero.
    #[error("a quantity may not be negative")]
    Negative,
}

#[inline]
fn write_scaled(mantissa: i128, decimals: u8, out: &mut Vec<u8>) {
    if mantissa < 0 {
        out.push(b'-');
    }
    let digits = mantissa.unsigned_abs();
    match u64::try_from(digits) {
        Ok(small) => write_digits(itoa::Buffer::new().format(small).as_bytes(), decimals, out),
        Err(_) => write_digits(itoa::Buffer::new().format(digits).as_bytes(), decimals, out),
    }
}

#[inline]
fn write_digits(digits: &[u8], decimals: u8, out: &mut Vec<u8>) {
    let decimals = usize::from(decimals);
    if decimals == 0 {
        out.extend_from_slice(digits);
    } else if digits.len() > decimals {
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(fraction);
    } else {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + decimals - digits.len(), b'0');
        out.extend_from_slice(digits);
    }
}

const POWERS: [i64; MAX_DECIMALS as usize + 1] = {
    let mut powers = [1; MAX_DECIMALS as usize + 1];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(i64, u8), NumberError>) {
        let read = Decimal::parse(text.as_bytes());
        assert_eq!(read.map(|number| (number.mantissa, number.decimals)), expect, "{text:?}");
    }

    #[test]
    fn plain_decimals_are_read_and_nothing_else() {
        check("45000.00", Ok((4_500_000, 2)));
        check("0", Ok((0, 0)));
        check("0.00000001", Ok((1, 8)));
        check("-1.5", Ok((-15, 1)));
        check("123456789012345678", Ok((123_456_789_012_345_678, 0)));
        check("9223372036854775807", Ok((i64::MAX, 0)));
        for wrong in [
            "", "-", ".", "1.", ".5", "01", "00", "+1", "1e5", "1,5", " 1", "1 ", "0x1", "--1", "1.2.3",
            "NaN",
        ] {
            check(wrong, Err(NumberError::NotDecimal));
        }
        check("9223372036854775808", Err(NumberError::TooLong));
        check("0.0000000000000000001", Err(NumberError::TooLong));
    }

    #[test]
    fn padding_zeros_that_do_not_fit_are_dropped_and_the_value_kept() {
        check("98765432109876.00000000", Ok((987_654_321_098_760_000, 4)));
        check("98765432109876.00000001", Err(NumberError::TooLong));
    }

    #[test]
    fn a_price_that_does_not_fit_the_scale_says_which_would() {
        let scale = Scale(2);
        assert_eq!(Decimal::new(6_173_763_000_000, 8).at_scale(scale), Ok(Price(6_173_763)));
        assert_eq!(Decimal::new(5, 0).at_scale(scale), Ok(Price(500)));
        assert_eq!(Decimal::new(61_737_630, 4).at_scale(scale), Err(Scale(3)));
    }

    #[test]
    fn a_negative_quantity_is_refused() {
        assert_eq!(Quantity::parse(b"-0.1"), Err(NumberError::Negative));
        assert!(Quantity::parse(b"0.0000").is_ok_and(Quantity::is_zero));
    }

    #[test]
    fn totals_are_exact_and_print_plainly() {
        let mut sum = Total::product(Decimal::new(6_173_763, 2), Quantity(Decimal::new(2_000_000, 8)));
        sum.add(Total::from(Decimal::new(5, 1)));
        assert_eq!(sum.trimmed(0).to_string(), "1235.2526");
        assert_eq!(Total::ZERO.trimmed(2).to_string(), "0.00");
    }

    proptest! {
        #[test]
        fn text_to_value_to_text_is_the_identity(whole in 0_i64..=999_999_999, fraction in "[0-9]{0,9}", negative: bool) {
            let sign = if negative { "-" } else { "" };
            let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            let value = Decimal::parse(text.as_bytes()).unwrap();
            // The one text that has no value of its own: minus nothing.
            let shown = if value.mantissa == 0 { text.trim_start_matches('-').to_owned() } else { text };
            prop_assert_eq!(value.to_string(), shown);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Decimal::parse(&bytes);
            let _ = Quantity::parse(&bytes);
        }
    }
}
