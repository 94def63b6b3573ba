//! A cron expression: five fields, as Debian's cron reads them.
//!
//! | Field | Values | Names |
//! |---|---|---|
//! | minute | 0–59 | |
//! | hour | 0–23 | |
//! | day of the month | 1–31 | |
//! | month | 1–12 | JAN–DEC |
//! | day of the week | 0–7, Sunday is 0 and 7 | SUN–SAT |
//!
//! Each is `*`, a value, a range `1-5`, any of these with a step `/15`, or several with commas. Where both days are
//! restricted, either may fit; where one begins with `*`, both must.

use jiff::civil::{Date, DateTime};

/// What an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    weekdays: Set,
    /// Whether one of the two days is enough.
    either_day: bool,
}

/// Numbers from 0 to 63.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Set(u64);

impl Set {
    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| self.0.checked_shr(number).is_some_and(|bits| bits & 1 == 1))
    }

    fn add(&mut self, number: u32) {
        self.0 |= 1_u64.checked_shl(number).unwrap_or(0);
    }

    fn first_from(self, number: i8, last: i8) -> Option<i8> {
        (number..=last).find(|number| self.has(*number))
    }
}

/// Months in which a day is looked for: the 29th of February may be that weekday once in forty years.
const MONTHS: usize = 50 * 12;

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A field: its name, its least and greatest value, and names of values from the least one on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field("minute", 0, 59, &[]),
    Field("hour", 0, 23, &[]),
    Field("day of the month", 1, 31, &[]),
    Field("month", 1, 12, &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]),
    Field("day of the week", 0, 7, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

impl Cron {
    /// Reads an expression, or says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let word = text.trim().to_ascii_lowercase();
        let text = match MACROS.iter().find(|(name, _)| *name == word) {
            Some((_, meaning)) => meaning,
            None if word.starts_with('@') => {
                let names: Vec<&str> = MACROS.iter().map(|(name, _)| *name).collect();
                return Err(format!("`{}` is none of {}", shown(&word), names.join(", ")));
            }
            None => text,
        };
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            let fields = "minute, hour, day of the month, month, day of the week";
            return Err(format!("5 fields are needed ({fields}), these are {}", words.len()));
        };
        let [minutes, hours, days, months, weekdays] = &FIELDS;
        let mut cron = Self {
            minutes: minutes.read(minute)?,
            hours: hours.read(hour)?,
            days: days.read(day)?,
            months: months.read(month)?,
            weekdays: weekdays.read(weekday)?,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        if cron.weekdays.has(7) {
            cron.weekdays.add(0);
        }
        Ok(cron)
    }

    /// Says whether it names every hour: then it tells of how time passes, and not of a time of the day.
    pub(super) fn is_of_every_hour(&self) -> bool {
        self.hours.0 == (1 << 24) - 1
    }

    /// Returns the first minute from this one on that it names, on the clock on the wall.
    pub(super) fn first_from(&self, from: DateTime) -> Option<DateTime> {
        let (mut month, mut start) = (from.date().first_of_month(), from);
        for _month in 0..MONTHS {
            if self.months.has(month.month()) {
                let days = (start.day()..=month.days_in_month()).filter_map(|day| {
                    let date = Date::new(month.year(), month.month(), day).ok()?;
                    self.is_on(date).then_some(date)
                });
                for date in days {
                    let (hour, minute) = if date == start.date() { (start.hour(), start.minute()) } else { (0, 0) };
                    if let Some((hour, minute)) = self.time_from(hour, minute) {
                        return Some(date.at(hour, minute, 0, 0));
                    }
                }
            }
            month = month.last_of_month().tomorrow().ok()?;
            start = month.at(0, 0, 0, 0);
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let by_day = self.days.has(date.day());
        let by_weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        if self.either_day { by_day || by_weekday } else { by_day && by_weekday }
    }

    fn time_from(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        let this_hour = self.minutes.first_from(minute, 59).filter(|_| self.hours.has(hour));
        this_hour.map(|minute| (hour, minute)).or_else(|| {
            let hour = self.hours.first_from(hour.checked_add(1)?, 23)?;
            self.minutes.first_from(0, 59).map(|minute| (hour, minute))
        })
    }
}

impl Field {
    fn read(&self, text: &str) -> Result<Set, String> {
        let mut set = Set::default();
        for part in text.split(',') {
            self.read_part(part, &mut set).map_err(|why| format!("{}: {why}", self.0))?;
        }
        Ok(set)
    }

    fn read_part(&self, part: &str, set: &mut Set) -> Result<(), String> {
        let Self(_, least, most, _) = *self;
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let number = step.parse::<u32>().ok().filter(|number| (1..=most).contains(number));
                let what = || format!("`{}` is no step from 1 to {most}", shown(step));
                (range, Some(number.ok_or_else(what)?))
            }
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            None if range == "*" => (least, most),
            // With a step, a value is where it begins.
            None => (self.value(range)?, if step.is_some() { most } else { self.value(range)? }),
            Some((first, last)) => {
                let (first, last) = (self.value(first)?, self.value(last)?);
                // Sunday ends a week that began before it.
                (first, if most == 7 && last == 0 && first > 0 { 7 } else { last })
            }
        };
        if last < first {
            return Err(format!("`{}` ends before it begins", shown(range)));
        }
        (first..=last).step_by(step.unwrap_or(1) as usize).for_each(|number| set.add(number));
        Ok(())
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let Self(_, least, most, names) = *self;
        if let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(least + u32::try_from(at).unwrap_or(0));
        }
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_number && (least..=most).contains(number));
        number.ok_or_else(|| {
            let names = if names.is_empty() { String::new() } else { format!(" or {}", names.join(", ")) };
            format!("`{}` is not {least} to {most}{names}", shown(text))
        })
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}
