//! Words that passwords are made of when nobody thinks about them: the first that a guesser tries.

/// Lower case, letters only, at least three letters: compared after case, digits, marks and the usual
/// stand-ins of letters are taken away (see `password::core`).
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "aaa", "abc", "abcd", "abcdef", "abcdefg", "abcdefgh", "access", "account", "admin", "administrator",
    "adobe", "alex", "alexander", "alexandra", "allison", "amanda", "america", "andrea", "andrew", "angel",
    "angela", "anna", "anthony", "apple", "april", "arsenal", "ashley", "asdf", "asdfg", "asdfgh",
    "asdfghjkl", "august", "austin", "azerty", "baby", "babygirl", "backup", "badboy", "bailey", "banana",
    "barcelona", "baseball", "basketball", "batman", "beautiful", "berlin", "bitch", "blahblah", "blink",
    "bonjour", "boomer", "brandon", "buster", "butterfly", "caroline", "changeit", "changeme", "charlie",
    "cheese", "chelsea", "chicken", "chocolate", "chris", "christian", "christopher", "computer", "cookie",
    "corvette", "cowboy", "dallas", "daniel", "danielle", "david", "december", "default", "demo", "diamond",
    "dolphin", "donald", "dragon", "eagle", "email", "eminem", "enter", "family", "february", "ferrari",
    "ficken", "flower", "football", "forever", "france", "freedom", "friday", "friend", "friends", "fuck",
    "fuckoff", "fuckyou", "galaxy", "geheim", "george", "ginger", "google", "guest", "guitar", "hallo",
    "hammer", "hannah", "happy", "harley", "heather", "hello", "helloworld", "hockey", "home", "hotmail",
    "hottie", "hunter", "iloveu", "iloveyou", "info", "internet", "jackson", "james", "january", "jasmine",
    "jennifer", "jessica", "jesus", "jimmy", "john", "johnny", "jonathan", "jordan", "joseph", "joshua",
    "july", "june", "junior", "justin", "kennwort", "killer", "kitty", "lakers", "letmein", "lifehack",
    "linkedin", "liverpool", "login", "london", "lookatme", "lovely", "love", "loveme", "lovers", "loveyou",
    "mail", "mailbox", "manager", "manchester", "marina", "marlboro", "martin", "master", "matrix",
    "matthew", "maverick", "mercedes", "merlin", "michael", "michelle", "mickey", "midnight", "minecraft",
    "mobilemail", "monday", "money", "monkey", "monster", "morgan", "mother", "motdepasse", "mustang",
    "mynoob", "myspace", "naruto", "nicole", "nintendo", "nirvana", "nothing", "november", "october",
    "office", "oliver", "open", "orange", "pass", "passe", "passphrase", "passw", "passwd", "password",
    "passwort", "patrick", "peanut", "pepper", "phoenix", "player", "please", "pokemon", "pokemons",
    "police", "postmaster", "power", "princess", "private", "purple", "pussy", "qazwsx", "qazwsxedc", "qwe",
    "qweasd", "qweasdzxc", "qwer", "qwerty", "qwertyu", "qwertyui", "qwertyuiop", "qwertz", "qwertzuiop",
    "rachel", "rainbow", "ranger", "raspberry", "rebecca", "robert", "root", "samantha", "samsung",
    "saturday", "schalke", "schatz", "scooter", "secret", "secure", "security", "september", "server",
    "service", "shadow", "sommer", "sophie", "soccer", "spiderman", "spring", "starwars", "steelers",
    "stella", "summer", "sunday", "sunshine", "super", "superman", "supervisor", "support", "suzanne",
    "sweet", "system", "taylor", "temp", "temppassword", "temporary", "test", "teste", "tester", "testing",
    "testtest", "thomas", "thursday", "thunder", "tigger", "tinkerbell", "trustme", "trustno", "tuesday",
    "twitter", "user", "username", "vanessa", "victoria", "wachtwoord", "warcraft", "wednesday", "welcome",
    "whatever", "william", "windows", "winner", "winter", "xxx", "yankees", "yellow", "zaq", "zxc", "zxcv",
    "zxcvbn", "zxcvbnm",
];

/// Rows of keyboards in letters and digits, walked in either direction.
#[rustfmt::skip]
pub(super) const WALKS: &[&str] = &[
    "qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiopü", "yxcvbnm", "azertyuiop", "qsdfghjklm", "wxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm", "1q2w3e4r5t6y7u8i9o0p", "qazwsxedcrfvtgbyhnujm", "!@#$%^&*()",
    "!\"§$%&/()=", "йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю",
];
