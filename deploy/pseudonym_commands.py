"""``chevet edge pseudonym``: whose data are whose, for whoever may know."""

from pathlib import Path

import click

from deploy.options import fail


@click.command("pseudonym")
@click.option(
    "--subject-key",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    required=True,
    help="Secret key of the pseudonyms: subject.key beside an agent's spool, or your copy of it.",
)
def pseudonym(subject_key: Path) -> None:
    """Print the pseudonym of a patient: to find what is stored of somebody, or to delete it.

    Asks for the patient's identifier, which is not shown, written or logged. Nothing is changed,
    and no key is made: under another key the same patient is somebody else.
    """
    from edge.identity import load_key, subject_pseudonym

    patient_id = click.prompt("Patient's identifier", hide_input=True, err=True)
    try:
        click.echo(subject_pseudonym(patient_id, load_key(subject_key)))
    except (OSError, ValueError) as error:
        fail(str(error))
