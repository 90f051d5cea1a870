"""Where a live run's results go, each place behind a bounded queue of its own.

    jsonl:PATH            one line of JSON for every frame and event, synced every second
    mcap:PATH             the same and the overlay as pictures, for replay; parts of ten minutes
    video:PATH            the overlay as a video that can be read up to a power cut
    masks:FOLDER          one PNG for every frame with a crack, in FOLDER/RUN_ID
    rosbag:FOLDER         masks, overlay, cracks and the fault log as a ROS 2 bag, MCAP or SQLite
    ros2://PREFIX         the same as topics over zenoh, where a robot runs rmw_zenoh
    mqtt://HOST/TOPIC     frames with cracks, events, telemetry once a second, and a last will
    prometheus://HOST:PORT   counters and gauges for a scraper, see `scnet_edge.live`

An `Outlet` says how to write one kind; `Queued` makes a sink of it that can neither stall nor
end the run.
"""
