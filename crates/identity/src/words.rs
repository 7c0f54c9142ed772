//! The words that fingerprints are read out in.

/// One word for each byte: known to most people, and no two of them a letter apart.
///
/// The order is part of the fingerprint and never changes.
#[rustfmt::skip]
pub(crate) const WORDS: [&str; 256] = [
    "acorn", "acrobat", "actor", "agent", "album", "alley", "amber", "anchor", "angel", "ankle",
    "apple", "april", "apron", "arena", "arrow", "artist", "aspen", "atlas", "attic", "autumn",
    "bagpipe", "baker", "bamboo", "banjo", "barley", "basket", "beacon", "beard", "bench", "berry",
    "bishop", "blanket", "bonnet", "border", "bottle", "branch", "bread", "bridge", "bronze",
    "bucket", "budget", "butter", "button", "cabin", "cactus", "camel", "candle", "canoe", "canyon",
    "captain", "carbon", "carpet", "castle", "cathedral", "cedar", "cello", "chapel", "cherry",
    "chimney", "circle", "citrus", "clover", "cobalt", "coffee", "comet", "compass", "copper",
    "coral", "cotton", "crane", "cricket", "crystal", "curtain", "daisy", "dancer", "desert",
    "diamond", "dolphin", "domino", "dragon", "drum", "eagle", "elephant", "engine", "falcon",
    "feather", "fiddle", "flamingo", "flute", "forest", "fossil", "galaxy", "garden", "garlic",
    "gazelle", "ginger", "glacier", "goblet", "gold", "granite", "guitar", "hammer", "hamster",
    "harbor", "harvest", "hazel", "helmet", "herring", "honey", "horizon", "hotel", "iceberg",
    "island", "ivory", "jacket", "jaguar", "jasmine", "jungle", "kangaroo", "kettle", "kitchen",
    "labyrinth", "ladder", "lagoon", "lantern", "laurel", "lemon", "leopard", "lily", "linen",
    "lobster", "magnet", "mango", "maple", "marble", "market", "meadow", "melon",
    "mercury", "meteor", "mirror", "monkey", "monsoon", "mosaic", "mountain", "mustard", "needle",
    "nickel", "novel", "nutmeg", "oasis", "ocean", "olive", "onion", "opal", "orange", "orbit",
    "orchid", "organ", "ostrich", "otter", "oyster", "palace", "panda", "paper", "parrot",
    "pasture", "peach", "pebble", "pelican", "pencil", "pepper", "piano", "pigeon", "pilot",
    "pirate", "planet", "plaza", "pony", "poppy", "potato", "prairie", "prism", "puzzle", "quartz",
    "quiver", "rabbit", "radish", "raven", "reef", "rhubarb", "ribbon", "river", "robin", "rocket",
    "rooster", "rose", "ruby", "saddle", "saffron", "salmon", "sandal", "sapphire", "sardine",
    "satin", "school", "scooter", "shadow", "shell", "silver", "siren", "sketch", "spider", "spoon",
    "spruce", "squirrel", "statue", "summer", "sunset", "swallow", "table", "teapot", "temple",
    "thistle", "thunder", "tiger", "timber", "tomato", "torch", "tower", "tractor", "trumpet",
    "tulip", "tunnel", "turtle", "tuxedo", "umbrella", "uncle", "vanilla", "velvet", "village",
    "violin", "volcano", "vulture", "wagon", "walnut", "walrus", "water", "whale", "willow",
    "window", "winter", "wizard", "yacht", "yellow", "zebra",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_stands_twice() {
        assert!(WORDS.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
