//! What the second set of questions is made of: people, programs and customers, what is noted of each, and how somebody asks
//! for it who does not remember the note's words.
//!
//! It was written without a look at the words that recall knows as kin, so that the set says whether they help anywhere but
//! with sentences of their own author. It is not to be fitted to them, nor they to it.

/// Things of a kind, and what is noted of each.
pub(super) struct Subjects {
    pub(super) names: [&'static str; 24],
    pub(super) topics: [Topic; 8],
    /// What is said of them and answers nothing.
    pub(super) chatter: [&'static str; 8],
}

/// What is noted of a thing: `{e}` is its name, `{v}` what is so.
pub(super) struct Topic {
    pub(super) notes: [&'static str; 2],
    pub(super) questions: [&'static str; 3],
    pub(super) values: [&'static str; 6],
}

const fn topic(notes: [&'static str; 2], questions: [&'static str; 3], values: [&'static str; 6]) -> Topic {
    Topic { notes, questions, values }
}

pub(super) const SUBJECTS: [Subjects; 3] = [PEOPLE, PROGRAMS, CUSTOMERS];

const PEOPLE: Subjects = Subjects {
    names: [
        "Anna Berg",
        "Anna Holt",
        "Milan Petrov",
        "Sofia Reyes",
        "Tom Okafor",
        "Yuki Tanaka",
        "Lars Nygaard",
        "Priya Nair",
        "Elena Costa",
        "Marcus Webb",
        "Irma Duarte",
        "Jonas Keller",
        "Fatima Haddad",
        "Pavel Novak",
        "Chloe Martin",
        "Diego Alvarez",
        "Hana Suzuki",
        "Oskar Lind",
        "Ruth Abel",
        "Samir Khan",
        "Nora Quinn",
        "Victor Hale",
        "Wanda Mazur",
        "Zoe Fischer",
    ],
    topics: [
        topic(
            ["{e} moved into a flat in {v}", "{e} is based in {v} now"],
            ["Which city is {e} settled in?", "Where would I send a postcard for {e}?", "what town does {e} call home"],
            ["Trieste", "Gdansk", "Porto", "Leeds", "Osaka", "Quito"],
        ),
        topic(
            ["{e} cannot eat {v}", "{v} make {e} sick"],
            [
                "What should I leave out when cooking for {e}?",
                "Does {e} have any allergies?",
                "what food must {e} avoid",
            ],
            ["walnuts", "mussels", "lentils", "strawberries", "eggs", "prawns"],
        ),
        topic(
            ["{e} was hired as a {v}", "{e} works as a {v} these days"],
            ["What does {e} do for a living?", "which profession has {e}", "what is the occupation of {e}"],
            ["surveyor", "translator", "pharmacist", "welder", "librarian", "notary"],
        ),
        topic(
            ["{e} was born on {v}", "the birthday of {e} is {v}"],
            [
                "When should we bake a cake for {e}?",
                "on what date does {e} get a year older",
                "when does {e} celebrate",
            ],
            ["3 March", "19 July", "27 October", "8 May", "30 January", "14 September"],
        ),
        topic(
            ["{e} takes the {v} in the morning", "{e} gets to the office by {v}"],
            ["How does {e} commute?", "what vehicle does {e} use", "how does {e} travel to work"],
            ["tram", "scooter", "ferry", "night bus", "cargo bike", "suburban train"],
        ),
        topic(
            ["{e} adopted a {v}", "there is a {v} in the house of {e}"],
            ["What animal lives with {e}?", "does {e} have any pets", "which creature does {e} feed"],
            ["greyhound", "parrot", "tortoise", "tomcat", "rabbit", "hedgehog"],
        ),
        topic(
            ["{e} spends weekends on {v}", "{e} took up {v}"],
            ["What does {e} do for fun?", "what are the hobbies of {e}", "how does {e} like to pass free time"],
            ["pottery", "bouldering", "beekeeping", "chess", "choir singing", "woodcarving"],
        ),
        topic(
            ["{e} is reached best over {v}", "write to {e} on {v}, nothing else is read"],
            ["What channel gets hold of {e}?", "how do I contact {e}", "how does {e} prefer to be messaged"],
            ["Signal", "Matrix", "plain e-mail", "the pager", "Threema", "the landline"],
        ),
    ],
    chatter: [
        "{e} came by and said hello",
        "Coffee with {e}, nothing special",
        "{e} laughed about the old slides",
        "Sat next to {e} at the talk",
        "{e} was tired after the long week",
        "{e} thanked everybody for the help",
        "Lunch with {e} was pushed to later",
        "{e} joined the call a little late",
    ],
};

const PROGRAMS: Subjects = Subjects {
    names: [
        "billing-gate",
        "billing-sync",
        "orchard",
        "lighthouse",
        "mailroom",
        "quill",
        "harbor-api",
        "harbor-web",
        "tessera",
        "sundial",
        "granary",
        "foxglove",
        "ledgerd",
        "pinwheel",
        "ravenmq",
        "saltmine",
        "toolshed",
        "umbra",
        "vaultkeeper",
        "weathervane",
        "yardstick",
        "zephyr",
        "copperline",
        "dovecote",
    ],
    topics: [
        topic(
            ["{e} is written in {v}", "{e} was ported to {v}"],
            [
                "What programming language is {e} in?",
                "which stack is the code of {e}",
                "what must I learn to hack on {e}",
            ],
            ["Elixir", "Kotlin", "OCaml", "Zig", "Haskell", "Go"],
        ),
        topic(
            ["{e} persists to {v}", "the rows of {e} are in {v}"],
            ["What database sits behind {e}?", "where does {e} keep its data", "which db is {e} using"],
            ["CockroachDB", "Cassandra", "MariaDB", "DynamoDB", "RocksDB", "ClickHouse"],
        ),
        topic(
            ["{e} listens on {v}", "{e} is bound to {v}"],
            ["Which port do I connect to for {e}?", "at what address does {e} answer", "how do I reach {e} locally"],
            ["4317", "8089", "9443", "6010", "7272", "5151"],
        ),
        topic(
            ["{v} maintain {e}", "{e} belongs to {v}"],
            ["Who is responsible for {e}?", "whom do I ping when {e} breaks", "which team owns {e}"],
            [
                "the platform guild",
                "the payments crew",
                "the growth squad",
                "the search folks",
                "the infra circle",
                "the data group",
            ],
        ),
        topic(
            ["{e} runs on {v}", "{e} was moved over to {v}"],
            ["Where is {e} hosted?", "what infrastructure does {e} live on", "which machines serve {e}"],
            ["Hetzner boxes", "the Frankfurt cluster", "Fly", "two Raspberries", "the old rack", "Lambda"],
        ),
        topic(
            ["{e} goes out every {v}", "releases of {e} happen each {v}"],
            ["When is the next deploy of {e} due?", "how often is {e} published", "what day do we roll out {e}"],
            ["Monday", "second Thursday", "quarter", "Tuesday night", "full moon", "fortnight"],
        ),
        topic(
            ["{e} keeps traces for {v}", "traces of {e} are purged after {v}"],
            [
                "How long do we hold on to logs of {e}?",
                "what is the retention of {e}",
                "when are old records of {e} deleted",
            ],
            ["9 days", "six weeks", "one year", "48 hours", "a month", "90 days"],
        ),
        topic(
            ["{e} pages somebody above {v}", "the pager goes off when {e} passes {v}"],
            [
                "What is the alarm limit of {e}?",
                "how slow may {e} get before anyone is woken",
                "what threshold triggers an alert for {e}",
            ],
            ["250 ms", "2 s", "40 ms", "800 ms", "5 s", "120 ms"],
        ),
    ],
    chatter: [
        "Looked at {e} for a while",
        "{e} had a green build today",
        "Somebody renamed a variable in {e}",
        "Updated the readme of {e}",
        "{e} came up in the standup",
        "Reviewed a small change to {e}",
        "The tests of {e} are flaky again",
        "Cloned {e} on the new laptop",
    ],
};

const CUSTOMERS: Subjects = Subjects {
    names: [
        "Acme Freight",
        "Acme Optics",
        "Bluefin Labs",
        "Cedar Clinics",
        "Delmar Foods",
        "Eastgate Bank",
        "Fjord Energy",
        "Gallant Toys",
        "Hollow Studios",
        "Ironwood Rail",
        "Juniper Hotels",
        "Kestrel Air",
        "Lumen Press",
        "Marlow Textiles",
        "Northlight Films",
        "Opaline Glass",
        "Pinecrest School",
        "Quarry Stone",
        "Redwater Farms",
        "Silverline Taxi",
        "Tidal Works",
        "Upland Dairy",
        "Vertex Gaming",
        "Willow Insurance",
    ],
    topics: [
        topic(
            ["The agreement with {e} expires in {v}", "{e} is bound to us through {v}"],
            ["Until when is {e} signed?", "when must we renew {e}", "how long does the contract with {e} last"],
            ["June 2027", "late autumn", "December", "spring 2028", "two years", "August"],
        ),
        topic(
            ["{e} pays {v} a month", "we bill {e} {v} monthly"],
            ["How much do we charge {e}?", "what price did {e} negotiate", "what is the fee of {e}"],
            ["900 euros", "4,200 dollars", "75 pounds", "12,000 francs", "310 euros", "1,850 dollars"],
        ),
        topic(
            ["{v} speaks for {e}", "talk to {v} about anything with {e}"],
            ["Who is our counterpart at {e}?", "whom should I call at {e}", "who is the contact person of {e}"],
            ["Mr Adeyemi", "Ms Laurent", "Dr Voss", "Mrs Ito", "Mr Bianchi", "Ms Thorne"],
        ),
        topic(
            ["{e} is on the {v} tier", "{e} switched to {v}"],
            ["Which subscription does {e} have?", "what package did {e} buy", "what plan is {e} paying for"],
            ["starter", "enterprise", "team", "nonprofit", "premium", "trial"],
        ),
        topic(
            ["Data of {e} stays in {v}", "everything {e} uploads is held in {v}"],
            [
                "Which jurisdiction applies to the records of {e}?",
                "where are files of {e} stored",
                "what region is {e} in",
            ],
            ["Ireland", "Canada", "Singapore", "Brazil", "Switzerland", "Virginia"],
        ),
        topic(
            ["{e} signs in through {v}", "{v} vouches for the people of {e}"],
            [
                "What identity provider does {e} use?",
                "how do users of {e} log in",
                "how does single sign-on work for {e}",
            ],
            ["Okta", "Keycloak", "Entra", "Auth0", "passkeys", "their LDAP"],
        ),
        topic(
            ["{e} was annoyed about {v}", "{e} wrote an angry letter because of {v}"],
            ["What did {e} complain about?", "what made {e} unhappy", "why is {e} upset with us"],
            ["the outage", "late replies", "the redesign", "missing exports", "rounding errors", "slow search"],
        ),
        topic(
            ["{e} wants its bills {v}", "accounts of {e} insist on bills {v}"],
            [
                "How does {e} like to be invoiced?",
                "in what form do we send invoices to {e}",
                "what is special about invoicing {e}",
            ],
            ["on paper", "as XML", "in one batch", "per department", "by the tenth", "without VAT"],
        ),
    ],
    chatter: [
        "Short call with {e}, all fine",
        "{e} sent season's greetings",
        "Saw the new logo of {e}",
        "{e} was mentioned in the paper",
        "Shook hands with people of {e} at the fair",
        "{e} asked for the slides again",
        "Nothing new from {e} this week",
        "{e} visited the office",
    ],
};

/// What is said of nothing that anybody asks for.
pub(super) const ELSEWHERE: [&str; 12] = [
    "The kitchen tap drips again",
    "Rain for the whole afternoon",
    "The printer on floor {n} has no toner",
    "Room {n} was double booked",
    "Someone left {n} umbrellas at the door",
    "The plant near desk {n} got new soil",
    "A parcel of {n} kilos waits downstairs",
    "The lift stopped for {n} minutes",
    "Ticket {n} was closed as a duplicate",
    "Build {n} was green",
    "The meeting about agenda item {n} was short",
    "Chapter {n} of the handbook reads well",
];
