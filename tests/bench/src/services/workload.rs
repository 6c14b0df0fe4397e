//! The kinds of calls that are measured.

/// Users that are read again and again, and so are in the cache.
const WARM_USERS: u64 = 1_000;
/// Pages that are read again and again.
pub(super) const PAGES: u64 = 200;
/// Rows between two of them: far apart, so that they are all over the table.
pub(super) const PAGE_SIZE: u16 = 1_000;

/// One kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Workload {
    /// Of a service that does nothing: what the mesh itself takes.
    #[value(skip)]
    Echo,
    GetUserWarm,
    GetUserCold,
    CreateUser,
    ReserveStock,
    ListProducts,
}

impl Workload {
    /// Those of users and of catalog.
    pub(super) const ALL: [Self; 5] =
        [Self::GetUserWarm, Self::GetUserCold, Self::CreateUser, Self::ReserveStock, Self::ListProducts];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Echo => "mesh_echo",
            Self::GetUserWarm => "get_user_warm",
            Self::GetUserCold => "get_user_cold",
            Self::CreateUser => "create_user",
            Self::ReserveStock => "reserve_stock",
            Self::ListProducts => "list_products",
        }
    }

    pub(super) fn is_of_catalog(self) -> bool {
        matches!(self, Self::ReserveStock | Self::ListProducts)
    }

    /// Returns the number of the row that a call is about.
    pub(super) fn row(self, rows: u64, number: u64) -> u64 {
        match self {
            Self::GetUserWarm => number % WARM_USERS.min(users(rows)),
            // One after the other, so that none is in the cache.
            Self::GetUserCold => number % users(rows),
            // A prime: all over the table.
            Self::Echo | Self::CreateUser | Self::ReserveStock => number.wrapping_mul(7_919) % rows,
            // The row behind which a page begins.
            Self::ListProducts => number % PAGES * u64::from(PAGE_SIZE) % rows,
        }
    }
}

/// How many users there are for so many products.
pub(super) fn users(rows: u64) -> u64 {
    rows.div_ceil(10)
}
