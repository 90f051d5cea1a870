"""`ros2 launch scnet_edge_ros cracks.launch.py bundle:=FOLDER image:=/camera/image_raw`."""

from pathlib import Path

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

TOPICS = {"image": "image", "camera_info": "camera_info", "odom": "odom"}


def generate_launch_description() -> LaunchDescription:
    """Return the node with its topics, its bundle and its autostart as arguments."""
    defaults = Path(get_package_share_directory("scnet_edge_ros")) / "config" / "cracks.yaml"
    arguments = [
        DeclareLaunchArgument("bundle", description="a folder that 'scnet-edge build' wrote"),
        DeclareLaunchArgument(
            "autostart", default_value="true", description="overrides the file of parameters"
        ),
        DeclareLaunchArgument("params_file", default_value=str(defaults)),
        *(DeclareLaunchArgument(name, default_value=topic) for name, topic in TOPICS.items()),
    ]
    remappings = [(topic, LaunchConfiguration(name)) for name, topic in TOPICS.items()]
    compressed = [LaunchConfiguration("image"), "/compressed"]
    given = {
        "bundle": ParameterValue(LaunchConfiguration("bundle"), value_type=str),
        "autostart": ParameterValue(LaunchConfiguration("autostart"), value_type=bool),
    }
    node = Node(
        package="scnet_edge_ros",
        executable="cracks",
        name="scnet_edge",
        parameters=[LaunchConfiguration("params_file"), given],
        remappings=[*remappings, ("image/compressed", compressed)],
        output="screen",
    )
    return LaunchDescription([*arguments, node])
