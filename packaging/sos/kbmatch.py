"""A plugin for sos report: what kbmatch found on this host, and its diagnosis of the newest crash.

Copy to sos/report/plugins/ of the installed sos (python3 -c 'import sos; print(sos.__path__[0])'), then:
sos report -o kbmatch
"""

from sos.report.plugins import IndependentPlugin, Plugin


class Kbmatch(Plugin, IndependentPlugin):
    """Diagnoses of kernel crashes."""

    short_desc = "Known kernel crashes (kbmatch)"
    plugin_name = "kbmatch"
    profiles = ("kernel", "system")
    commands = ("kbmatch",)

    def setup(self):
        """Copy reports that lie beside dumps (never the dumps), ask for the history and the newest crash."""
        self.add_copy_spec(
            [
                "/var/crash/*/kbmatch-report.*",
                "/var/lib/systemd/pstore/*/kbmatch-report.*",
                "/etc/kbmatch",
            ]
        )
        self.add_forbidden_path("/etc/kbmatch/watch.env")
        self.add_cmd_output(
            [
                "kbmatch --version",
                "kbmatch history --format json",
                "kbmatch core --format md /var/crash",
            ],
            timeout=600,
        )
