//! The levels of log lines.

/// How grave a log line is. The numbers are the C surface's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum Level {
    /// Somebody must act.
    Error = 1,
    /// Somebody may have to act.
    Warn = 2,
    /// What an operator wants to see, such as one line per job.
    Info = 3,
    /// For whoever looks for a fault.
    Debug = 4,
    /// Everything else.
    Trace = 5,
}

impl Level {
    /// The level of the C surface's number; a number outside 1..=5 is the nearest level.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        match number {
            ..=1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            5.. => Self::Trace,
        }
    }

    /// The word for it in log lines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }
}
