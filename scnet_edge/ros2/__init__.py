"""A ROS 2 node without ROS: messages in, messages out; `scnet_edge_ros` is its skin for rclpy."""
