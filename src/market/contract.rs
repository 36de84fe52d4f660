//! What contracts are worth: the quote volume of markets that count in them.

use super::{Decimal, Quantity, Total};

impl Total {
    /// What contracts of a `value` each come to at `price`, with eight decimals, rounded to the
    /// nearest; nothing where that cannot be said.
    pub fn of_contracts(contracts: Quantity, value: Decimal, price: Decimal) -> Total {
        let power = |decimals: u8| 10_i128.checked_pow(decimals.into());
        let worth = || {
            let worth = i128::from(contracts.decimal().mantissa()).checked_mul(value.mantissa().into())?;
            let worth = worth.checked_mul(power(price.decimals() + CONTRACT_DECIMALS)?)?.checked_mul(2)?;
            let divisor = power(contracts.decimal().decimals() + value.decimals())?
                .checked_mul(price.mantissa().into())?;
            let doubled = worth.checked_div(divisor)?;
            Some((doubled + doubled.signum()) / 2)
        };
        Total::from_parts(worth().unwrap_or(0), CONTRACT_DECIMALS)
    }
}

/// The decimals that Binance writes the worth of coin-margined contracts with.
const CONTRACT_DECIMALS: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contracts_are_worth_their_value_at_the_price_to_the_nearest_eighth_decimal() {
        let worth = |contracts: &str, value: &str, price: &str| {
            let contracts = Quantity::parse(contracts.as_bytes()).unwrap();
            Total::of_contracts(contracts, value.parse().unwrap(), price.parse().unwrap()).to_string()
        };
        assert_eq!(worth("1893", "10", "1993.36"), "9.49652847");
        assert_eq!(worth("1.5", "0.1", "0.300"), "0.50000000");
        assert_eq!(worth("2", "1", "3"), "0.66666667");
        assert_eq!(worth("1", "10", "0"), "0.00000000", "nothing can be said");
        assert_eq!(worth("999999999999999999", "999999999999", "0.00000001"), "0.00000000");
    }
}
