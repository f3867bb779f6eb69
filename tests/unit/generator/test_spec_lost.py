"""What the owner hears when the work store no longer has the spec of a revision."""

import pytest

from imagetron_chassis.verdicts import GiveUp, decide
from imagetron_contracts.failures import FailureCode
from imagetron_generator.usecases.inputs import SpecLost
from unit.generator.bench import Bench, a_request


async def test_a_spec_that_expired_is_lost_work_and_its_error_names_no_object():
    with pytest.raises(SpecLost) as lost:
        await Bench().render(a_request())

    assert decide(lost.value, 1, somebody_waits=True) == GiveUp(FailureCode.WORK_LOST)
    assert "jobs/" not in str(lost.value)
