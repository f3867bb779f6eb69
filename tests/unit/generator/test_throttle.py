from imagetron_generator.domain.throttle import Throttle


def test_at_most_one_step_passes_in_each_interval():
    throttle = Throttle(0.25)

    passed = [step for step in range(1, 20) if throttle.lets_through(step, 100, step / 16)]

    assert passed == [1, 5, 9, 13, 17]


def test_the_last_step_always_passes():
    throttle = Throttle(0.2)

    assert throttle.lets_through(1, 2, 0.0)
    assert throttle.lets_through(2, 2, 0.001)


def test_slow_steps_all_pass():
    throttle = Throttle(0.2)

    assert all(throttle.lets_through(step, 10, float(step)) for step in range(1, 11))
