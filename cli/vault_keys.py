"""``guard keys rotate-vault``: another key-encryption key for the vault."""

from __future__ import annotations

from rich.markup import escape

from guard.audit.vault.kek import SETTING

from .command import Run
from .exits import Exit


def rotate_vault(run: Run) -> Exit:
    """Wrap the vault's keys with a new key-encryption key; nothing is decrypted or lost.

    With the key in the home a new one is made, and the old one destroyed when nothing is wrapped
    with it any more. With a key from the environment, first put the new one into
    GUARD_KEY_ENCRYPTION_KEY and the old one into GUARD_RETIRED_KEY_ENCRYPTION_KEY. Afterwards keys
    in old backups of the key database open with the old key only.
    """
    from guard.audit.vault.holds import vault_of

    vault = vault_of(run.log)
    count = vault.keys.rotate()
    where = run.settings.home / "keys"
    source = SETTING if run.settings.key_encryption_key is not None else str(where)
    run.out.emit(
        {"kek_id": vault.keys.kek_id, "keys": count, "from": source},
        f"[bold green]rotated[/]  {count} keys now under {vault.keys.kek_id}",
        f"[yellow]Back up {escape(source)}:[/] who loses it cannot read what the vault keeps.",
    )
    return Exit.DONE
