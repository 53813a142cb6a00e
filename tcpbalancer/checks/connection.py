"""What the kernel says when a check's connection fails.

Laws: the words are HAProxy's (3.x), so that they can be searched for.
"""

from __future__ import annotations

import errno
import os

from tcpbalancer.check_status import CheckResult, CheckStatus


def connection_problem(problem: OSError) -> CheckResult:
    """Return the result for a connect that failed; a lack of descriptors of our own is no fault of the server."""
    code = problem.errno or 0
    status = CheckStatus.SOCKERR if code in {errno.EMFILE, errno.ENFILE, errno.ENOMEM} else CheckStatus.L4CON
    return CheckResult(status, info=f"{errno.errorcode.get(code, 'ERROR')} returned by OS ({os.strerror(code)})")
