"""The embedded model server and the tour that shows the main job on it."""
