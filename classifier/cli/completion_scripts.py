"""Completion scripts for shells, from tables of commands."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

_SUMMARY = 70  # characters


@dataclasses.dataclass(frozen=True)
class Completion:
    """A flag, or a positional argument.

    Attributes:
      name: without dashes.
      help: its help text.
      words: values to complete.
      path: "file", "directory" or "".
      is_list: whether the value is several words, separated by commas.
      is_switch: whether the flag needs no value.
      is_boolean: whether it also has a form with `no`.
    """

    name: str
    help: str = ""
    words: tuple[str, ...] = ()
    path: str = ""
    is_list: bool = False
    is_switch: bool = False
    is_boolean: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the flag."""
        return (self.name, f"no{self.name}") if self.is_boolean else (self.name,)

    @property
    def summary(self) -> str:
        """The first sentence of the help, without characters that shells interpret."""
        sentence = re.split(r"[.:;(] ?", self.help, maxsplit=1)[0]
        return re.sub(r"[^\w ,./=%+-]", "", sentence)[:_SUMMARY].strip()


@dataclasses.dataclass(frozen=True)
class Command:
    """A command; the name of a subcommand follows after a space.

    Attributes:
      name: its name.
      flags: its flags.
      argument: its positional argument; None: none.
    """

    name: str
    flags: Sequence[Completion]
    argument: Completion | None = None


def _programs(commands: Sequence[Command]) -> list[str]:
    return list(dict.fromkeys(each.name.partition(" ")[0] for each in commands))


def _subcommands(commands: Sequence[Command]) -> dict[str, list[str]]:
    """Returns program -> its subcommands."""
    result: dict[str, list[str]] = {}
    for each in commands:
        program, _, subcommand = each.name.partition(" ")
        if subcommand:
            result.setdefault(program, []).append(subcommand)
    return result


_BASH = r"""# Completion of slim's commands for bash. Printed by: slim-completion bash
_slim_values() {  # command, flag: sets `words`, `path` and `list`
    case "$1 $2" in
@CASES@
    esac
}

_slim() {
    local line="${COMP_LINE:0:COMP_POINT}" command="${COMP_WORDS[0]##*/}" flag= words= path= list=
    local word="${line##*[[:space:]]}" previous="${COMP_WORDS[COMP_CWORD-1]}" prefix= head=
    COMPREPLY=()
    case "$command" in @WITH_SUBCOMMANDS@)
        if ((COMP_CWORD > 1)); then command+=" ${COMP_WORDS[1]}"; fi ;;
    esac
    if [[ $word == --*=* ]]; then
        flag="${word%%=*}" word="${word#*=}"
        [[ $COMP_WORDBREAKS == *=* ]] || prefix="$flag="
    elif [[ $word == -* ]]; then
        _slim_values "$command" flags
        COMPREPLY=($(compgen -W "$words" -- "$word"))
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
        return
    elif [[ $previous == --* ]]; then
        _slim_values "$command" flags
        [[ " $words " == *" $previous= "* ]] && flag="$previous"
        words=
    fi
    _slim_values "$command" "${flag:-argument}"
    if [[ -n $list ]]; then
        head="${word%"${word##*,}"}"
        [[ -n $words ]] && compopt -o nospace
    fi
    COMPREPLY=($(compgen -W "$words" -P "$prefix$head" -- "${word##*,}"))
    if [[ -n $path ]]; then
        local option=-f paths
        [[ $path == directory ]] && option=-d
        compopt -o filenames
        mapfile -t paths < <(compgen $option -P "$prefix" -- "$word")
        COMPREPLY+=("${paths[@]}")
    fi
}

complete -F _slim @PROGRAMS@"""


def bash(commands: Sequence[Command]) -> str:
    """Returns a script for bash."""
    programs, subcommands = _programs(commands), _subcommands(commands)
    cases = [
        f'        "{program} argument") words="{" ".join(names)}" ;;'
        for program, names in subcommands.items()
    ]
    for command in commands:
        names = [
            f"--{name}" + "=" * (not flag.is_switch)
            for flag in command.flags
            for name in flag.names
        ]
        cases.append(f'        "{command.name} flags") words="{" ".join(names)}" ;;')
        values = [(f"--{flag.name}", flag) for flag in command.flags if flag.words or flag.path]
        if command.argument is not None:
            values.append(("argument", command.argument))
        cases += [
            f'        "{command.name} {name}") words="{" ".join(flag.words)}"'
            f" path={flag.path} list={'yes' if flag.is_list else ''} ;;"
            for name, flag in values
        ]
    return (
        _BASH.replace("@CASES@", "\n".join(cases))
        .replace("@WITH_SUBCOMMANDS@", "|".join(subcommands))
        .replace("@PROGRAMS@", " ".join(programs))
    )


_ZSH = r"""# Completion of slim's commands for zsh. Printed by: slim-completion zsh
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
_slim() {
    local command=$service
    local -a specs
    case $command in
@SUBCOMMANDS@
    esac
    case $command in
@CASES@
    esac
    _arguments $specs
}
compdef _slim @PROGRAMS@"""


def zsh(commands: Sequence[Command]) -> str:
    """Returns a script for zsh."""
    subcommands = [
        f"        {program})\n"
        f"            if (( CURRENT == 2 )); then compadd {' '.join(names)}; return; fi\n"
        '            command+=" $words[2]"; shift words; (( CURRENT-- )) ;;'
        for program, names in _subcommands(commands).items()
    ]
    cases = []
    for command in commands:
        specs = [f"'--{name}{spec}'" for flag in command.flags for name, spec in _zsh_flag(flag)]
        if command.argument is not None:
            specs.append(f"'*:{command.argument.name}:{_zsh_values(command.argument)}'")
        body = "\n                ".join(specs)
        cases.append(f"        '{command.name}') specs=(\n                {body}\n            ) ;;")
    return (
        _ZSH.replace("@SUBCOMMANDS@", "\n".join(subcommands))
        .replace("@CASES@", "\n".join(cases))
        .replace("@PROGRAMS@", " ".join(_programs(commands)))
    )


def _zsh_flag(flag: Completion) -> Iterator[tuple[str, str]]:
    for name in flag.names:
        value = "" if flag.is_switch else f":{name}:{_zsh_values(flag)}"
        yield name, f"{'' if flag.is_switch else '='}[{flag.summary}]{value}"


def _zsh_values(flag: Completion) -> str:
    words = " ".join(flag.words)
    files = {"": "", "file": "_files", "directory": "_files -/"}[flag.path]
    if flag.words and files:
        return f"{{ compadd {words}; {files} }}"
    if flag.words and flag.is_list:
        return f"_sequence compadd - {words}"
    return f"({words})" if flag.words else files


def fish(commands: Sequence[Command]) -> str:
    """Returns a script for fish."""
    lines = ["# Completion of slim's commands for fish. Printed by: slim-completion fish"]
    for program, names in _subcommands(commands).items():
        lines.append(f"complete -c {program} -f -n __fish_use_subcommand -a '{' '.join(names)}'")
    for command in commands:
        program, _, subcommand = command.name.partition(" ")
        start = f"complete -c {program}"
        if subcommand:
            start += f" -n '__fish_seen_subcommand_from {subcommand}'"
        if command.argument is not None:
            lines.append(f"{start}{_fish_values(command.argument)}")
        for flag in command.flags:
            values = "" if flag.is_switch else f" -r{_fish_values(flag)}"
            lines += [f"{start} -l {name}{values} -d '{flag.summary}'" for name in flag.names]
    return "\n".join(lines)


def _fish_values(flag: Completion) -> str:
    words = " ".join(flag.words)
    if flag.is_list and flag.words:
        words = f"(__fish_append , {words})"
    if flag.path == "directory":
        words = f"{words} (__fish_complete_directories)".strip()
    only = " -f" if flag.path != "file" else ""
    return f"{only} -a '{words}'" if words else only


SHELLS: Mapping[str, Callable[[Sequence[Command]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
