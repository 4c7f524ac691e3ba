# SPDX-License-Identifier: MIT
"""What `import fedlethe` gives: functions begin, open and compare runs; a Run acts on one run folder."""
