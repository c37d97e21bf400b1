"""``onlooker profiles``: which analyzers run, by name."""

from __future__ import annotations

import json
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Profiles: which analyzers run and how.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]


@app.command("list")
def list_profiles(as_json: AsJson = False) -> None:
    """List the profiles that come with onlooker."""
    from onlooker.pipeline.profile import load_profile, profile_names

    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        print(json.dumps([p.model_dump(mode="json") for p in profiles], ensure_ascii=False))
        return
    for profile in profiles:
        print(f"{profile.name:14} {profile.description}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="Name, or a YAML file.")]) -> None:
    """Show a profile with every setting that its analyzers would use, as YAML."""
    import yaml

    from onlooker.pipeline.profile import load_profile
    from onlooker.pipeline.stages import create_analyzer, select_stages

    profile = load_profile(name)
    stages = select_stages(profile.analyzers, profile.quality)
    settings = {s.name: create_analyzer(s.spec).config.model_dump(mode="json") for s in stages}
    whole = {**profile.model_dump(mode="json", exclude={"analyzers"}), "analyzers": settings}
    print(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True), end="")


@app.command()
def schema() -> None:
    """Print the JSON Schema of profile files, for editors."""
    from onlooker.pipeline.profile import Profile

    print(json.dumps(Profile.model_json_schema(), indent=1))
