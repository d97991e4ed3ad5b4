"""Steps of a pipeline that run inside the job that reads them, so that nothing is written in between."""
