// Sets of spikes in workgroup memory: a row of bits as in `spikes`, and summaries with a bit for every
// word of a population that is not zero. A quiet step reads one summary a population (one for each
// 1,024 cells), a busy one only the words with spikes. Three sets take turns: before, now, next.

const SUMMARIES_E: u32 = (WORDS_E + 31u) / 32u;
const SUMMARIES_I: u32 = (WORDS_I + 31u) / 32u;
const SET_WORDS: u32 = ROW_WORDS + SUMMARIES_E + SUMMARIES_I;

// No cell.
const NONE: u32 = 0xffffffffu;

var<workgroup> bits: array<atomic<u32>, 3u * SET_WORDS>;

// Where a population stands in a set.
struct Place {
    words: u32,
    summaries: u32,
    summary_count: u32,
}

const E_BITS = Place(0u, ROW_WORDS, SUMMARIES_E);
const I_BITS = Place(WORDS_E, ROW_WORDS + SUMMARIES_E, SUMMARIES_I);

// Where the set of step t begins; t + 2 stands for the step before t.
fn set_of(t: u32) -> u32 {
    return (t % 3u) * SET_WORDS;
}

fn note_word(at: u32, place: Place, word: u32) {
    atomicOr(&bits[at + place.summaries + word / 32u], 1u << (word % 32u));
}

fn note_spike(at: u32, place: Place, cell: u32) {
    atomicOr(&bits[at + place.words + cell / 32u], 1u << (cell % 32u));
    note_word(at, place, cell / 32u);
}

// A walk over the cells of a set, ascending.
struct Walk {
    at: u32,
    place: Place,
    // Summary in `summary`, whose bits are the words still to come.
    block: u32,
    summary: u32,
    // Bits of the current word still to come, and the cell of its bit 0.
    word: u32,
    first_cell: u32,
}

fn walk(at: u32, place: Place) -> Walk {
    return Walk(at, place, 0u, atomicLoad(&bits[at + place.summaries]), 0u, 0u);
}

fn next_cell(walk: ptr<function, Walk>) -> u32 {
    if (*walk).word == 0u {
        while (*walk).summary == 0u && (*walk).block + 1u < (*walk).place.summary_count {
            (*walk).block++;
            (*walk).summary = atomicLoad(&bits[(*walk).at + (*walk).place.summaries + (*walk).block]);
        }
        if (*walk).summary == 0u {
            return NONE;
        }
        let word = (*walk).block * 32u + firstTrailingBit((*walk).summary);
        (*walk).summary &= (*walk).summary - 1u;
        (*walk).word = atomicLoad(&bits[(*walk).at + (*walk).place.words + word]);
        (*walk).first_cell = word * 32u;
    }
    let bit = firstTrailingBit((*walk).word);
    (*walk).word &= (*walk).word - 1u;
    return (*walk).first_cell + bit;
}

// The next four cells; those past the end are NONE.
fn next_cells(walk: ptr<function, Walk>) -> vec4<u32> {
    var cells = vec4<u32>(NONE);
    cells.x = next_cell(walk);
    if cells.x != NONE {
        cells.y = next_cell(walk);
        cells.z = next_cell(walk);
        cells.w = next_cell(walk);
    }
    return cells;
}
