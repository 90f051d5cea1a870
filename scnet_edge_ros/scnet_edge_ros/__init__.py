"""The skin of `scnet_edge.ros2` for rclpy."""
