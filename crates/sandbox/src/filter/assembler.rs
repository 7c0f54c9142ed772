//! Puts the filter's few kinds of instructions together.

/// One instruction as the kernel reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) if_true: u8,
    pub(crate) if_false: u8,
    pub(crate) value: u32,
}

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is made.
    Allow,
    /// It is not made and gives this error number.
    Refuse(i32),
    /// It waits for the warden, who ends the process or lets the call happen.
    Ask,
}

impl Verdict {
    const fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Refuse(number) => 0x0005_0000 | number.unsigned_abs(),
            Self::Ask => 0x7fc0_0000,
        }
    }
}

/// What an argument must be like; only its lower half is compared where the kernel reads only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// The lower half is this number.
    Is(u32),
    /// The lower half is the process's own identifier, which is put in when it is known.
    IsSelf,
    /// All 64 bits are zero.
    IsZero,
    /// One of these bits is set in the lower half.
    HasOne(u32),
    /// All of these bits are set in the lower half.
    HasAll(u32),
}

/// A condition on an argument, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition(pub(crate) usize, pub(crate) Test);

/// Instructions, and where the process's own identifier belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Assembler {
    pub(crate) instructions: Vec<Instruction>,
    pub(crate) own_identifiers: Vec<usize>,
}

impl Assembler {
    /// Asks the warden about every call of another architecture than this program's.
    pub(crate) fn architecture(&mut self, architecture: u32) {
        self.load(ARCHITECTURE_AT);
        self.push(JUMP_IF_EQUAL, architecture, 1, 0);
        self.end(Verdict::Ask);
        self.load(NUMBER_AT);
    }

    /// Asks the warden about every call whose number is at least `number`.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn numbers_from(&mut self, number: u32) {
        self.push(JUMP_IF_AT_LEAST, number, 0, 1);
        self.end(Verdict::Ask);
    }

    /// Ends with a verdict for one call.
    pub(crate) fn call(&mut self, number: u32, verdict: Verdict) {
        self.push(JUMP_IF_EQUAL, number, 0, 1);
        self.end(verdict);
    }

    /// Ends with the verdict of the first group of conditions that hold, or else with `otherwise`.
    pub(crate) fn call_by_arguments(
        &mut self,
        number: u32,
        cases: &[(&[Condition], Verdict)],
        otherwise: Verdict,
    ) {
        let mut inner = Self::default();
        for (conditions, verdict) in cases {
            inner.case(conditions, *verdict);
        }
        inner.end(otherwise);
        let length = u8::try_from(inner.instructions.len())
            .expect("a call's conditions are fewer than a jump can pass over");
        self.push(JUMP_IF_EQUAL, number, 0, length);
        let start = self.instructions.len();
        self.own_identifiers.extend(inner.own_identifiers.iter().map(|at| at + start));
        self.instructions.extend(inner.instructions);
    }

    /// Ends with a verdict.
    pub(crate) fn end(&mut self, verdict: Verdict) {
        self.push(RETURN, verdict.value(), 0, 0);
    }

    fn case(&mut self, conditions: &[Condition], verdict: Verdict) {
        let mut parts: Vec<Self> = Vec::new();
        for Condition(argument, test) in conditions {
            let mut part = Self::default();
            part.test(*argument, *test);
            parts.push(part);
        }
        // Every test falls through where it holds; where it does not, the last instruction of each
        // test jumps over what is left of this case.
        let total: usize = parts.iter().map(|part| part.instructions.len()).sum();
        let mut done = 0;
        for mut part in parts {
            let length = part.instructions.len();
            for (index, instruction) in part.instructions.iter_mut().enumerate() {
                let left = u8::try_from(total - done - index).expect("a case is short");
                patch(instruction, left);
            }
            let start = self.instructions.len();
            self.own_identifiers.extend(part.own_identifiers.iter().map(|at| at + start));
            self.instructions.extend(part.instructions);
            done += length;
        }
        self.end(verdict);
    }

    fn test(&mut self, argument: usize, test: Test) {
        let offset = u32::try_from(ARGUMENTS_AT + 8 * argument).expect("there are six arguments");
        self.load(offset);
        match test {
            Test::Is(value) => self.push(JUMP_IF_EQUAL, value, 0, OUT),
            Test::IsSelf => {
                self.own_identifiers.push(self.instructions.len());
                self.push(JUMP_IF_EQUAL, 0, 0, OUT);
            }
            Test::IsZero => {
                self.push(JUMP_IF_EQUAL, 0, 0, OUT);
                self.load(offset + 4);
                self.push(JUMP_IF_EQUAL, 0, 0, OUT);
            }
            Test::HasOne(bits) => self.push(JUMP_IF_SET, bits, 0, OUT),
            Test::HasAll(bits) => {
                self.push(AND, bits, 0, 0);
                self.push(JUMP_IF_EQUAL, bits, 0, OUT);
            }
        }
    }

    fn load(&mut self, offset: u32) {
        self.push(LOAD, offset, 0, 0);
    }

    fn push(&mut self, code: u16, value: u32, if_true: u8, if_false: u8) {
        self.instructions.push(Instruction { code, if_true, if_false, value });
    }
}

/// Replaces the mark for "out of this case" by the way there.
fn patch(instruction: &mut Instruction, left: u8) {
    if instruction.if_false == OUT {
        instruction.if_false = left;
    }
}

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
#[cfg(target_arch = "x86_64")]
const JUMP_IF_AT_LEAST: u16 = 0x35;
const JUMP_IF_SET: u16 = 0x45;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: usize = 16;
const OUT: u8 = 0xff;
