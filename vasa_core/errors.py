"""Every refusal by name, each one sentence that says what to do.

VasaError                    exit code 1
├── BadInput                 exit code 2: the file or option given cannot be used
│   ├── BadPortrait          unreadable picture, no face, several faces, face too small, an animal
│   ├── BadSound             unreadable, empty
│   ├── BadVideo             unreadable, no face, two faces, a face that is long away, a cut
│   ├── BadOption            a value out of range, an output that cannot be written
│   ├── BadTable             a table of clips to make in which something is wrong
│   ├── DamagedData          a shard of training data that is not what was written
│   └── NoCluster            Ray cannot start here, or nobody answers at that address
├── ConsentRefused           exit code 3: nobody has shown that this face may be animated
├── MissingWeights           exit code 4: a file of ours is missing or does not match the code
├── StoreFault               exit code 5: the database of consents, clips and audit cannot be used
├── ClipRefused              exit code 6: there is no such clip for whoever asks
├── AccessRefused            exit code 7: who asks is not signed in, or may not do this
│   └── SignInRefused        name and password do not belong together, or the session is over
├── Busy                     exit code 8: too much was asked for at once; the same works later
├── MissingExtra             exit code 9: a library that only some need is not installed
├── SomeFailed               exit code 10: of many clips some could not be made; the others are there
└── Stopped                  exit code 130: Ctrl-C while many clips were made; what is finished is kept
"""

from __future__ import annotations

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class VasaError(Exception):
    """Base of every refusal; the command line prints its one sentence and exits with its code."""

    exit_code = 1


class BadInput(VasaError):
    """Something the user gave cannot be used."""

    exit_code = 2


class BadPortrait(BadInput):
    """The portrait picture cannot be used."""


class BadSound(BadInput):
    """The sound cannot be used."""


class BadVideo(BadInput):
    """The video cannot be used."""


class BadOption(BadInput):
    """An option's value cannot be used."""


class BadTable(BadInput):
    """A table of clips to make cannot be used; names line and column."""


class DamagedData(BadInput):
    """Training data that is not what was written."""


class NoCluster(BadInput):
    """Ray cannot start here, or nobody answers at the address given."""


class ConsentRefused(VasaError):
    """Nobody has shown that this face may be animated for this; `code` is the reason as one word, for the audit."""

    exit_code = 3

    def __init__(self, sentence: str, code: str = "refused") -> None:
        super().__init__(sentence)
        self.code = code


class MissingWeights(VasaError):
    """A weight file is missing or does not fit this version of the code."""

    exit_code = 4


class StoreFault(VasaError):
    """The database of consents, clips and audit cannot be used."""

    exit_code = 5


class ClipRefused(VasaError):
    """There is no such clip for whoever asks; the same words whether it is missing or somebody else's."""

    exit_code = 6


class AccessRefused(VasaError):
    """Who asks may not do this."""

    exit_code = 7


class SignInRefused(AccessRefused):
    """Nobody is signed in, or could be with what was given."""


class Busy(VasaError):
    """Too much was asked for at once; the same works later."""

    exit_code = 8


class MissingExtra(VasaError):
    """A library that only some need is not installed."""

    exit_code = 9


class SomeFailed(VasaError):
    """Of many clips some could not be made; the others are there."""

    exit_code = 10


class Stopped(VasaError):
    """Ctrl-C while many clips were made; what is finished is kept."""

    exit_code = INTERRUPTED
