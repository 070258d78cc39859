"""Functions out of C sources by the coding style alone."""

from __future__ import annotations

from pathlib import Path

from kbmatch.kb.authoring.mine_functions import functions_by_file, functions_of, telling, texts
from kbmatch.kb.store.frames import load_helper_frames

SOURCE = """\
#include <linux/module.h>

static const struct acme_ops ops = {
	.open = acme_open,
};

static int acme_open(struct inode *inode, struct file *file)
{
	if (acme_check(file))
		return acme_retry(inode);
	return 0;
}

static void __releases(lock)
acme_close(struct inode *inode,
		struct file *file)
{
}

int acme_declared(void);

struct acme *acme_find(int id) {
	return NULL;
}
"""


def test_definitions_are_found_calls_and_declarations_are_not() -> None:
    assert functions_of(SOURCE) == {"acme_open", "acme_close", "acme_find"}


def test_only_wanted_files_and_telling_names_are_kept(tmp_path: Path) -> None:
    for name in ("drivers/acme/a.c", "drivers/acme/b.c", "tools/acme/c.c"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE + "void kfree(void *p)\n{\n}\n")
    found = functions_by_file([tmp_path])
    assert set(found) == {"drivers/acme/a.c", "drivers/acme/b.c"}
    kept = telling(found, ["drivers/acme/a.c", "fs/none.c"], load_helper_frames())
    assert kept == {"drivers/acme/a.c": ["acme_close", "acme_find", "acme_open"]}
    assert texts(kept, "x")["drivers.txt"].splitlines()[1:] == ["drivers/acme/a.c", "0acme_close 5find 5open"]
