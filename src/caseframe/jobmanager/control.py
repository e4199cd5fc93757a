"""The methods of JobControl: the orders of our own gateway, and what it shows of jobs at work."""

from __future__ import annotations

import time

from caseframe.jobmanager import jobmanager_pb2 as pb
from caseframe.pipeline.manager import JobManager
from caseframe.pipeline.progress import Progress, Sample

_LONGEST_WAIT = 60.0


class Control:
    """Hands orders to the manager. Who gives them was checked before."""

    def __init__(self, manager: JobManager) -> None:
        self._manager = manager

    def submit(self, request: pb.SubmitRequest) -> pb.SubmitResponse:
        """Queue a job. Raises NotFound."""
        self._manager.submit(request.id, walk=request.walk, rehash=request.rehash)
        return pb.SubmitResponse()

    def stop(self, request: pb.StopRequest) -> pb.StopResponse:
        """Stop a job, and wait for it if asked to. Raises UsageError when that takes too long."""
        if request.seconds <= 0:
            return pb.StopResponse(stopped=self._manager.stop(request.id))
        running, waiting = self._manager.overview()
        self._manager.stop_and_wait(request.id, min(request.seconds, _LONGEST_WAIT))
        return pb.StopResponse(stopped=request.id in {running, *waiting})

    def progress(self, _request: pb.ProgressRequest) -> pb.ProgressResponse:
        """The job at work, how far it is, and who waits."""
        running, waiting = self._manager.overview()
        found = None if running is None else self._manager.progress(running)
        if running is None or found is None:
            return pb.ProgressResponse(queue=waiting)
        return pb.ProgressResponse(running=running, progress=progress_message(found), queue=waiting)


def progress_message(progress: Progress) -> pb.JobProgress:
    """A run's progress; moments travel as ages, for no two machines have the same clock."""
    now = time.monotonic()
    return pb.JobProgress(
        phase=progress.phase,
        total=progress.total,
        seen=progress.seen,
        unchanged=progress.unchanged,
        examined=progress.examined,
        bytes_read=progress.bytes_read,
        # Copies, because the thread that counts goes on meanwhile.
        states={state.value: count for state, count in dict(progress.states).items()},
        stages={
            name: pb.StageCounts(
                states={state.value: count for state, count in dict(states).items()}
            )
            for name, states in dict(progress.stages).items()
        },
        stage_total=progress.stage_total,
        stage_done=progress.stage_done,
        current=progress.current,
        waiting=progress.waiting,
        seconds=now - progress.started,
        samples=[_sample(sample, now) for sample in tuple(progress.samples)],
    )


def _sample(sample: Sample, now: float) -> pb.ProgressSample:
    return pb.ProgressSample(age=now - sample.at, files=sample.files, stages=sample.stages)
